import { Buffer } from "node:buffer";
import { type Dictionary, parseDictionary } from "structured-headers";
import { VitrineError } from "../../src/core/errors.ts";

const SHA256_BYTES = 32;

/**
 * The SHA-256 (base64) in `Content-Digest` or `Repr-Digest` (RFC 9530); "" if neither has one. Other algorithms are
 * ignored. Throws bad_request for a malformed header, digest_mismatch if the two differ.
 */
export function parseDigest(headers: Headers): string {
  const content = sha256Of(headers, "Content-Digest");
  const repr = sha256Of(headers, "Repr-Digest");
  if (content !== "" && repr !== "" && content !== repr) {
    throw new VitrineError("digest_mismatch", "compare digests: Content-Digest and Repr-Digest differ");
  }
  return content === "" ? repr : content;
}

function sha256Of(headers: Headers, name: string): string {
  const header = headers.get(name);
  if (header === null) return "";
  const [digest] = dictionaryOf(name, header).get("sha-256") ?? [];
  if (digest === undefined) return "";
  if (!(digest instanceof ArrayBuffer) || digest.byteLength !== SHA256_BYTES) {
    throw new VitrineError("bad_request", `parse ${name}: sha-256 is not ${SHA256_BYTES} bytes of base64`);
  }
  return Buffer.from(digest).toString("base64");
}

/** Throws bad_request for a malformed field, as RFC 9651 4.2 allows: ignoring it would leave the body unverified. */
function dictionaryOf(name: string, header: string): Dictionary {
  try {
    return parseDictionary(header);
  } catch (cause) {
    throw new VitrineError("bad_request", `parse ${name}: ${header}`, { cause });
  }
}
