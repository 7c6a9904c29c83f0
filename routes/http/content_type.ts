import { VitrineError } from "../../src/core/errors.ts";
import { MAX_CONTENT_TYPE_BYTES } from "../../src/core/object.ts";

/** A type and a subtype, then parameters, which may be missing between two semicolons (RFC 9110 8.3.1, 5.6.6). */
const MEDIA_TYPE =
  /^[!#$%&'*+.^`|~\w-]+\/[!#$%&'*+.^`|~\w-]+(?:[ \t]*;[ \t]*(?:[!#$%&'*+.^`|~\w-]+=(?:[!#$%&'*+.^`|~\w-]+|"(?:[\t !#-[\]-~]|\\[\t -~])*"))?)*[ \t]*$/;

/**
 * The `Content-Type` of a PUT as it is kept; "" without one. Throws bad_request for what is no media type, such as two
 * of them, and for bytes that are not ASCII, of which the runtimes make different things.
 */
export function parseContentType(header: string | null): string {
  if (header === null) return "";
  // The length is looked at first: the expression may look at each white space twice.
  if (header.length > MAX_CONTENT_TYPE_BYTES) {
    throw new VitrineError("bad_request", `parse Content-Type: longer than ${MAX_CONTENT_TYPE_BYTES} bytes`);
  }
  if (header !== "" && !MEDIA_TYPE.test(header)) {
    throw new VitrineError("bad_request", `parse Content-Type: not a media type: ${header}`);
  }
  return header;
}
