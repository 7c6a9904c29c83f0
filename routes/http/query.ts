import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";

/**
 * The query string of a request by its schema; an unknown, repeated or bad parameter throws bad_request. A parameter that is named in `lists`
 * may be repeated, which means the same as commas between its values.
 */
export function parseQuery<Schema extends v.GenericSchema>(
  schema: Schema,
  request: Request,
  { lists = [] }: { readonly lists?: readonly string[] } = {},
): v.InferOutput<Schema> {
  const parameters: Record<string, string> = {};
  for (const [name, value] of new URL(request.url).searchParams) {
    const before = parameters[name];
    if (before !== undefined && !lists.includes(name)) {
      throw new VitrineError("bad_request", `parse query: ${name} comes twice`);
    }
    parameters[name] = before === undefined ? value : `${before},${value}`;
  }
  const parsed = v.safeParse(schema, parameters);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new VitrineError("bad_request", `parse query: ${v.getDotPath(issue) ?? ""}: ${issue.message}`);
}
