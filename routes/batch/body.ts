import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { bodyChunks } from "../http/body.ts";

/** The largest number of objects in one request. */
export const MAX_OBJECTS = 10_000;
/** Every character of every key may be an escape sequence of JSON. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** The schema of the keys that a request names. */
export function keyList(): v.GenericSchema<string[]> {
  return v.pipe(
    v.array(v.string()),
    v.minLength(1, "no key"),
    v.maxLength(MAX_OBJECTS, `more than ${MAX_OBJECTS} keys`),
    v.description(`1-${MAX_OBJECTS} keys, as they are: not percent-encoded.`),
  );
}

/** Parses a request's body as JSON. Throws bad_request. */
export async function readJson<Schema extends v.GenericSchema>(
  schema: Schema,
  { exchange, request, transferWatch }: Pick<AppOptions, "transferWatch"> & {
    readonly exchange: Exchange;
    readonly request: Request;
  },
): Promise<v.InferOutput<Schema>> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  let value: unknown;
  try {
    for await (const chunk of bodyChunks(exchange, request, { discard() {}, transferWatch })) {
      bytes += chunk.byteLength;
      if (bytes > MAX_JSON_BYTES) throw new VitrineError("bad_request", `parse body: above ${MAX_JSON_BYTES} bytes`);
      text += decoder.decode(chunk, { stream: true });
    }
    value = JSON.parse(text + decoder.decode());
  } catch (cause) {
    if (cause instanceof VitrineError) throw cause;
    throw new VitrineError("bad_request", "parse body: not JSON in UTF-8", { cause });
  }
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new VitrineError("bad_request", `parse body: ${v.getDotPath(issue) ?? ""}: ${issue.message}`);
}
