/** Maximum number of cached texts. */
const MAX_TEXTS = 1024;

/** Position and hash of an encoded Content-Type. */
interface Place {
  readonly at: number;
  readonly length: number;
  readonly hash: number;
}

/** Cache of recently seen Content-Types by hash. They repeat, and a hit compares bytes instead of decoding them. */
export class ContentTypes {
  readonly #texts = new Map<number, string>();

  /** The cached text of these bytes. Only ASCII text is found, because there one character is one byte. */
  find(bytes: Uint8Array, { at, length, hash }: Place): string | undefined {
    const text = this.#texts.get(hash);
    if (text?.length !== length) return undefined;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f || bytes[at + i] !== code) return undefined;
    }
    return text;
  }

  keep(hash: number, text: string): string {
    if (this.#texts.size >= MAX_TEXTS) this.#texts.clear();
    this.#texts.set(hash, text);
    return text;
  }
}

/** A 32-bit hash of a Content-Type's bytes. Hashes may collide; `find` compares the bytes. */
export function contentTypeHash(bytes: Uint8Array): number {
  let hash = bytes.length;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash;
}
