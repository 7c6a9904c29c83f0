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

/**
 * Types that a browser shows as what they are, a picture or a text, or only saves. All others it may take for a page,
 * for a document with scripts of its own, or for several of those.
 */
const INERT =
  /^(?:application\/(?:octet-stream|json|x-ndjson|gzip|x-gzip|zip|zstd|x-tar|x-7z-compressed|x-xz|wasm|java-archive)|audio\/[\w.+-]+|video\/[\w.+-]+|font\/[\w.+-]+|image\/(?!svg)[\w.-]+|text\/(?:plain|css|csv|javascript))[ \t]*(?:;|$)/i;

/** Most types that are remembered. */
const MAX_REMEMBERED = 256;
const remembered = new Map<string, boolean>();

/** Whether an object of a type is only to be saved by a browser. */
function isOnlySaved(contentType: string): boolean {
  const known = remembered.get(contentType);
  if (known !== undefined) return known;
  const isSaved = !INERT.test(contentType);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(contentType, isSaved);
  return isSaved;
}

/**
 * The Content-Disposition of an object: what its PUT gave, as an attachment where a browser could render the object as
 * a page of this server. Undefined: none.
 */
export function dispositionOf(contentType: string, given: string | undefined): string | undefined {
  if (contentType === "" || !isOnlySaved(contentType)) return given;
  if (given === undefined) return "attachment";
  const parameters = given.indexOf(";");
  return parameters < 0 ? "attachment" : `attachment${given.slice(parameters)}`;
}
