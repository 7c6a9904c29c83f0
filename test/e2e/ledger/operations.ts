import { objectPath } from "../support/keys.ts";
import type { Random } from "../support/random.ts";

const mib = 1024 ** 2;
const keyCount = 3000;
const bigKeyCount = 2;
const bigBytes = 16 * mib;
const blockBytes = 2 * mib;
/** Sizes of uploads that are broken off. */
const brokenUpload = { minBytes: 2048, maxBytes: mib } as const;

/**
 * Which downloads are broken off: the others of that status are then the only ones whose bytes cannot be known exactly.
 */
export type Breaks = "whole" | "part" | "none";

/** One thing that a client does. */
export interface Operation {
  readonly kind: "request" | "broken upload" | "broken download";
  readonly method: "PUT" | "GET" | "HEAD" | "DELETE";
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a PUT. A broken upload announces more than this, or sends it in chunks without their end. */
  readonly body?: Uint8Array;
  /** Whether the body is sent in chunks, without a length. */
  readonly chunked?: boolean;
}

/** Path of an operation's object. */
export function pathOf({ key }: Operation): string {
  return objectPath(key);
}

/** Whether it is one of the few objects whose downloads are broken off. */
export function isBig({ key }: Operation): boolean {
  return key.startsWith("big/");
}

/** Makes up operations: mostly reads of some thousand small objects, and everything else a client may do to them. */
export class Operations {
  readonly #random: Random;
  readonly #breaks: Breaks;
  readonly #block: Uint8Array;
  #made = 0;

  constructor(random: Random, breaks: Breaks) {
    this.#random = random;
    this.#breaks = breaks;
    this.#block = random.bytes(blockBytes);
  }

  /** PUTs of the objects that are too large to leave before their client does. */
  big(): readonly Operation[] {
    const body = new Uint8Array(bigBytes).fill(7);
    return Array.from(
      { length: bigKeyCount },
      (_, i) => ({ kind: "request", method: "PUT", key: `big/${i}`, headers: {}, body }),
    );
  }

  next(): Operation {
    const random = this.#random;
    const dice = random.below(1000);
    const key = `some/${Math.floor(random.logUniform(1, keyCount))}`;
    this.#made++;
    const read = { kind: "request", method: "GET", key, headers: {} } as const;
    if (dice < 440) return read;
    if (dice < 500) return { ...read, key: `absent/${key}` };
    if (dice < 570) return { ...read, method: "HEAD" };
    if (dice < 590) return { ...read, method: "HEAD", key: `absent/${key}` };
    if (dice < 690) return { ...read, headers: { range: this.#range() } };
    if (dice < 710) return { ...read, headers: { "if-none-match": "*" } };
    if (dice < 720) return { ...read, headers: { "if-match": '"none"' } };
    if (dice < 790) return { ...read, method: "DELETE" };
    if (dice < 800) return { ...read, method: "DELETE", key: `absent/${key}` };
    if (dice < 815) return this.#brokenUpload(key);
    if (dice < 817) return this.#brokenDownload();
    if (dice < 825) return this.#refusedPut(key);
    return this.#put(key);
  }

  #put(key: string): Operation {
    const large = this.#random.below(100) === 0;
    const sizeBytes = this.#random.logUniform(1, large ? 1024 : 48) * 1024 - 1024 + this.#random.below(1024);
    const chunked = sizeBytes > 0 && this.#random.below(20) === 0;
    return { kind: "request", method: "PUT", key, headers: {}, body: this.#bytes(sizeBytes), chunked };
  }

  #refusedPut(key: string): Operation {
    const put = { kind: "request", method: "PUT", key } as const;
    // A precondition fails before the body is read: whether the runtime takes it nevertheless is no business of the
    // ledger's.
    if (this.#random.below(2) === 0) return { ...put, headers: { "if-match": '"none"' }, body: new Uint8Array() };
    return {
      ...put,
      body: this.#bytes(1000),
      headers: { "content-digest": "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:" },
    };
  }

  /** To a key of its own: it must leave nothing behind. */
  #brokenUpload(key: string): Operation {
    if (this.#breaks === "none") return this.#put(key);
    const body = this.#bytes(this.#random.logUniform(brokenUpload.minBytes, brokenUpload.maxBytes));
    const put = { kind: "broken upload", method: "PUT", headers: {}, body } as const;
    return { ...put, key: `broken/${this.#made}`, chunked: this.#random.below(3) === 0 };
  }

  #brokenDownload(): Operation {
    const headers = this.#breaks === "part" ? { range: "bytes=1-" } : {};
    const kind = this.#breaks === "none" ? "request" : "broken download";
    return { kind, method: "GET", key: `big/${this.#random.below(bigKeyCount)}`, headers };
  }

  #range(): string {
    const at = this.#random.below(40_000);
    const forms = [`bytes=${at}-${at + this.#random.below(10_000)}`, `bytes=${at}-`, `bytes=-${at + 1}`] as const;
    return forms[this.#random.below(forms.length)] ?? "";
  }

  #bytes(sizeBytes: number): Uint8Array {
    const start = this.#random.below(blockBytes - sizeBytes);
    return this.#block.subarray(start, start + sizeBytes);
  }
}
