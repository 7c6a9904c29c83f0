import { type ErrorCode, VitrineError } from "./errors.ts";

/** One end of a channel between two threads: ordered and lossless. */
export interface Port<Out, In> {
  post(message: Out): void;
  /** Call this once; earlier messages are kept until then. `onClose`: the other end was closed or its thread ended. */
  listen(onMessage: (message: In) => void, onClose: () => void): void;
  close(): void;
}

/** Maximum number of causes in a Failure. */
const MAX_CAUSES = 8;

/** An error in a form that can cross threads. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, string | number>>;
  /** The messages of the error's causes, outermost first. */
  readonly causes: readonly string[];
}

/** Converts an error for another thread; one that is no VitrineError becomes `tier_failed`. */
export function failureOf(error: unknown): Failure {
  const causes: string[] = [];
  for (let cause = error instanceof Error ? error.cause : undefined; cause instanceof Error;) {
    if (causes.push(cause.message) === MAX_CAUSES) break;
    cause = cause.cause;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof VitrineError) return { code: error.code, message, details: error.details, causes };
  return { code: "tier_failed", message, details: {}, causes };
}

/** Restores an error in the thread that receives it. */
export function errorOf({ code, message, details, causes }: Failure): VitrineError {
  const cause = causes.reduceRight<Error | undefined>((inner, text) => new Error(text, { cause: inner }), undefined);
  return new VitrineError(code, message, { details, cause });
}

/** Bytes before the first copy: the commit word, and the lengths of both copies. */
const HEADER_BYTES = 16;

/**
 * A text in shared memory with one writer and many readers; it stays readable if the writer dies. There are two copies:
 * the writer fills the invalid one and then makes it valid in one step.
 */
export class SharedText {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;

  /** `memory`: from `allocate`. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#bytes = new Uint8Array(memory);
    this.#capacity = (memory.byteLength - HEADER_BYTES) / 2;
  }

  /** Memory for a text of up to `capacity` bytes of UTF-8. */
  static allocate(capacity: number): SharedArrayBuffer {
    return new SharedArrayBuffer(HEADER_BYTES + 2 * capacity);
  }

  /** Replaces the text; returns false if it is too long. */
  write(text: string): boolean {
    const encoded = new TextEncoder().encode(text);
    if (encoded.length > this.#capacity) return false;
    const place = 1 - (Atomics.load(this.#words, 0) & 1);
    this.#bytes.set(encoded, HEADER_BYTES + place * this.#capacity);
    Atomics.store(this.#words, 1 + place, encoded.length);
    Atomics.add(this.#words, 0, 1);
    return true;
  }

  /** The current text; "" before the first write. */
  read(): string {
    for (;;) {
      const commit = Atomics.load(this.#words, 0);
      const place = commit & 1;
      const at = HEADER_BYTES + place * this.#capacity;
      const copy = this.#bytes.slice(at, at + Atomics.load(this.#words, 1 + place));
      if (Atomics.add(this.#words, 0, 0) === commit) return new TextDecoder().decode(copy);
    }
  }
}
