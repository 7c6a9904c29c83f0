import { VitrineError } from "../core/errors.ts";
import { MAX_CONTENT_TYPE_BYTES, MAX_KEPT_HEADER_BYTES } from "../core/object.ts";
import { type EntryHead, headBytes, SHA256_BASE64_BYTES } from "./arena/entry_head.ts";
import { FLAG } from "./arena/entry_table.ts";
import type { KeyBytes } from "./arena/key_bytes.ts";
import { GRANULE_BYTES } from "./arena/layout.ts";
import type { WriteRequest } from "./l1.ts";

/** Maximum bytes of a writer's tag. */
const MAX_TAG_BYTES = 255;

const encoder = new TextEncoder();
const NO_HEADERS = new Uint8Array();

/** A write request with its encoded head and its memory. */
export interface WritePlan {
  readonly request: WriteRequest;
  readonly tag: string;
  readonly head: EntryHead;
  readonly granules: number;
  /** Additional granules, taken only if they are free. */
  readonly spareGranules: number;
  readonly flags: number;
}

/** Checks write requests and computes their memory before the lock is taken. Throws bad_key or bad_request. */
export function planWrites(requests: readonly WriteRequest[], tag: string, key: KeyBytes): readonly WritePlan[] {
  const tagBytes = encoder.encode(tag);
  if (tagBytes.length > MAX_TAG_BYTES) throw refused("a tag", tagBytes.length, MAX_TAG_BYTES);
  return requests.map((request) => {
    const { sizeBytes, sha256, loading } = request;
    const contentType = encoder.encode(request.contentType);
    if (contentType.length > MAX_CONTENT_TYPE_BYTES) {
      throw refused("a Content-Type", contentType.length, MAX_CONTENT_TYPE_BYTES);
    }
    if (sha256 !== "" && sha256.length !== SHA256_BASE64_BYTES) {
      throw refused("a SHA-256", sha256.length, SHA256_BASE64_BYTES);
    }
    const { headers = "" } = request;
    if (headers.length > MAX_KEPT_HEADER_BYTES) throw refused("headers", headers.length, MAX_KEPT_HEADER_BYTES);
    if (loading !== undefined && loading.sizeBytes !== sizeBytes) {
      throw new VitrineError("bad_request", `reserve a load: ${sizeBytes} of ${loading.sizeBytes} bytes`);
    }
    key.set(request.key);
    const head = {
      contentType,
      sha256,
      headers: headers === "" ? NO_HEADERS : encoder.encode(headers),
      tag: tagBytes,
    };
    const bytes = headBytes(key, head) + sizeBytes;
    const granules = Math.max(1, Math.ceil(bytes / GRANULE_BYTES));
    return {
      request,
      tag,
      head,
      granules,
      spareGranules: Math.max(0, Math.ceil((bytes + (request.spareBytes ?? 0)) / GRANULE_BYTES) - granules),
      flags: (loading === undefined ? 0 : FLAG.loading) | (request.temporary === true ? FLAG.temporary : 0),
    };
  });
}

function refused(what: string, bytes: number, maxBytes: number): VitrineError {
  return new VitrineError("bad_request", `reserve a write with ${what} of at most ${maxBytes} bytes: ${bytes} bytes`);
}
