import { VitrineError } from "../../src/core/errors.ts";

const SHA256_BYTES = 32;

/**
 * The SHA-256 (base64) that `Content-Digest` and `Repr-Digest` (RFC 9530) give a body, "" if none does; other algorithms are ignored. Throws
 * bad_request for a malformed header, digest_mismatch if the two disagree.
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
  const member =
    /[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[^;,]*)?)*[ \t]*(,(?=.)|$)/y;
  let sha256 = "";
  while (member.lastIndex < header.length) {
    const match = member.exec(header);
    if (match === null) throw new VitrineError("bad_request", `parse ${name}: ${header}`);
    if (match[1] === "sha-256") sha256 = canonical(match[2] ?? "", name);
  }
  if (header.trim() === "") throw new VitrineError("bad_request", `parse ${name}: empty`);
  return sha256;
}

function canonical(base64: string, name: string): string {
  try {
    const bytes = atob(base64);
    if (bytes.length === SHA256_BYTES) return btoa(bytes);
  } catch {
    // Falls through to the same refusal.
  }
  throw new VitrineError("bad_request", `parse ${name}: sha-256 is not ${SHA256_BYTES} bytes of base64`);
}
