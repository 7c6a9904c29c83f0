import { resolver } from "hono-openapi";
import * as v from "valibot";

/** One response in the specification of a route. */
export interface ResponseSpec {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: ReturnType<typeof resolver> }>>;
}

const problemSchema: v.GenericSchema = v.looseObject({
  type: v.pipe(v.string(), v.description("Stable URI of the kind of problem, e.g. /problems/precondition-failed.")),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  instance: v.pipe(v.string(), v.description("The path of the request.")),
});

/** A response of the specification that refuses a request with a problem (RFC 9457). */
export function refusal(description: string): ResponseSpec {
  return { description, content: { "application/problem+json": { schema: resolver(problemSchema) } } };
}
