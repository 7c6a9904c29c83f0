/** How many texts are kept. */
const MAX_TEXTS = 1024;

/** Where a Content-Type lies and what it hashes to. */
interface Place {
  readonly at: number;
  readonly length: number;
  readonly hash: number;
}

/** The Content-Types seen lately, by hash: they repeat, so a hit compares bytes instead of decoding them. */
export class ContentTypes {
  readonly #texts = new Map<number, string>();

  /** The text that these bytes are, if it is known; only ASCII ever is, where one character is one byte. */
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

/** A 32-bit hash of a Content-Type's bytes. Two may share it: `find` compares. */
export function contentTypeHash(bytes: Uint8Array): number {
  let hash = bytes.length;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash;
}
