import * as v from "valibot";

/** The body of every refusal (RFC 9457), for the specification. */
export const problemSchema: v.GenericSchema = v.looseObject({
  type: v.pipe(v.string(), v.description("Stable URI of the kind of problem, e.g. /problems/precondition-failed.")),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  instance: v.pipe(v.string(), v.description("The path of the request.")),
});
