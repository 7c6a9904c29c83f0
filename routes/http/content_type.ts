import { VitrineError } from "../../src/core/errors.ts";
import { MAX_CONTENT_TYPE_BYTES } from "../../src/core/object.ts";

/** `type/subtype` and parameters, which may be missing between two semicolons (RFC 9110 8.3.1, 5.6.6). */
const MEDIA_TYPE =
  /^[!#$%&'*+.^`|~\w-]+\/[!#$%&'*+.^`|~\w-]+(?:[ \t]*;[ \t]*(?:[!#$%&'*+.^`|~\w-]+=(?:[!#$%&'*+.^`|~\w-]+|"(?:[\t !#-[\]-~]|\\[\t -~])*"))?)*[ \t]*$/;

/**
 * The `Content-Type` of a PUT; "" without one. Throws bad_request for anything but one media type, and for bytes that
 * are not ASCII, which the runtimes decode differently.
 */
export function parseContentType(header: string | null): string {
  if (header === null) return "";
  // The length is checked first: the expression may read white space twice.
  if (header.length > MAX_CONTENT_TYPE_BYTES) {
    throw new VitrineError("bad_request", `parse Content-Type: longer than ${MAX_CONTENT_TYPE_BYTES} bytes`);
  }
  if (header !== "" && !MEDIA_TYPE.test(header)) {
    throw new VitrineError("bad_request", `parse Content-Type: not a media type: ${header}`);
  }
  return header;
}

/**
 * Types that a browser saves, or shows as a picture or plain text. It may run scripts in objects of all other types.
 */
const INERT =
  /^(?:application\/(?:octet-stream|json|x-ndjson|gzip|x-gzip|zip|zstd|x-tar|x-7z-compressed|x-xz|wasm|java-archive)|audio\/[\w.+-]+|video\/[\w.+-]+|font\/[\w.+-]+|image\/(?!svg)[\w.-]+|text\/(?:plain|css|csv|javascript))[ \t]*(?:;|$)/i;

/** The largest number of types remembered. */
const MAX_REMEMBERED = 256;
const remembered = new Map<string, boolean>();

/** True if a browser must save an object of this type, and not show it. */
function isOnlySaved(contentType: string): boolean {
  const known = remembered.get(contentType);
  if (known !== undefined) return known;
  const isSaved = !INERT.test(contentType);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(contentType, isSaved);
  return isSaved;
}

/**
 * The Content-Disposition of an object: the one given by its PUT, made an attachment where a browser could show the
 * object as a page of this server. Undefined: none.
 */
export function dispositionOf(contentType: string, given: string | undefined): string | undefined {
  if (contentType === "" || !isOnlySaved(contentType)) return given;
  if (given === undefined) return "attachment";
  const parameters = given.indexOf(";");
  return parameters < 0 ? "attachment" : `attachment${given.slice(parameters)}`;
}
