import type { KeyBytes } from "./key_bytes.ts";

/** Bytes of a base64 SHA-256. */
export const SHA256_BASE64_BYTES = 44;

/** The metadata between an object's key and its bytes. */
export interface EntryHead {
  readonly contentType: Uint8Array;
  /** 44 characters of base64, or "". */
  readonly sha256: string;
  /** Kept header fields, packed. */
  readonly headers: Uint8Array;
  readonly tag: Uint8Array;
}

/**
 * Bytes of key and head in front of an object. They always fit its first block, because the allocator never splits less
 * than 16 KiB.
 */
export function headBytes(key: KeyBytes, head: EntryHead): number {
  return key.length + head.contentType.length + head.sha256.length + head.headers.length + head.tag.length;
}

/** Writes key and head to the start of an object's memory. */
export function writeHead(memory: Uint8Array, key: KeyBytes, head: EntryHead): void {
  let at = 0;
  for (; at < key.length; at++) memory[at] = key.bytes[at] ?? 0;
  memory.set(head.contentType, at);
  at += head.contentType.length;
  for (let i = 0; i < head.sha256.length; i++) memory[at + i] = head.sha256.charCodeAt(i);
  at += head.sha256.length;
  memory.set(head.headers, at);
  memory.set(head.tag, at + head.headers.length);
}
