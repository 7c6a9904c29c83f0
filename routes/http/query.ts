import type { MiddlewareHandler } from "hono";
import { resolver, uniqueSymbol } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import type { Env } from "../exchange.ts";
import { queryOf } from "./target.ts";

/** The largest number of parameters in a query. */
const MAX_PARAMETERS = 256;

/**
 * Validates the query string for `c.req.valid("query")`, and describes its parameters. hono-openapi's own validator
 * answers failures itself, and has no limit to the number of parameters.
 */
export function query<Schema extends v.GenericSchema<object, object>>(
  schema: Schema,
  options: { readonly lists?: readonly string[] } = {},
): MiddlewareHandler<Env, string, { in: { query: v.InferInput<Schema> }; out: { query: v.InferOutput<Schema> } }> {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    c.req.addValidatedData("query", parseQuery(schema, c.req.raw, options));
    await next();
  };
  return Object.assign(middleware, { [uniqueSymbol]: { target: "query", ...resolver(schema) } });
}

/**
 * Parses the query string of a request. Throws bad_request for an unknown, repeated or bad parameter, and for more than
 * 256. A parameter named in `lists` may be repeated, which means the same as commas between its values.
 */
export function parseQuery<Schema extends v.GenericSchema>(
  schema: Schema,
  request: Request,
  { lists = [] }: { readonly lists?: readonly string[] } = {},
): v.InferOutput<Schema> {
  const values = new Map<string, string[]>();
  let count = 0;
  for (const [name, value] of queryOf(request.url)) {
    if (++count > MAX_PARAMETERS) {
      throw new VitrineError("bad_request", `parse query: more than ${MAX_PARAMETERS} parameters`);
    }
    const before = values.get(name);
    if (before === undefined) values.set(name, [value]);
    else if (lists.includes(name)) before.push(value);
    else throw new VitrineError("bad_request", `parse query: ${name} comes twice`);
  }
  // Every object inherits these, so a schema would find them.
  for (const name of values.keys()) {
    if (name in Object.prototype) throw new VitrineError("bad_request", `parse query: ${name}: no such parameter`);
  }
  const parameters = Object.fromEntries(Array.from(values, ([name, each]) => [name, each.join(",")]));
  const parsed = v.safeParse(schema, parameters);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new VitrineError("bad_request", `parse query: ${v.getDotPath(issue) ?? ""}: ${issue.message}`);
}
