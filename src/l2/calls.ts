import { VitrineError } from "../core/errors.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { StoreSource, WholeObject } from "./adapter.ts";
import { faultOf } from "./file/disk.ts";

/** Counts an adapter's running calls, so that `close` can wait for them and reject further ones. */
export class Calls {
  readonly #tier: string;
  #running = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(tier: string) {
    this.#tier = tier;
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Runs one call; throws tier_failed after `close`. A failure that is not a VitrineError becomes tier_failed (no_room
   * if the disk is full) with its cause, unless `spare` returns true because the tier did not cause it.
   */
  async run<T>(
    action: string,
    work: () => T | Promise<T>,
    spare: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    this.assertOpen(action);
    this.#running += 1;
    try {
      return await work();
    } catch (error) {
      if (error instanceof VitrineError || spare(error)) throw error;
      const full = faultOf(error) === "full";
      const why = error instanceof Error ? error.message : String(error);
      throw new VitrineError(full ? "no_room" : "tier_failed", `${action}: tier ${this.#tier}: ${why}`, {
        cause: error,
      });
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** Yields bytes of a load that are in memory already. Throws tier_failed after `close`. */
  async *loaded(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    this.assertOpen("load object");
    if (bytes.length > 0) yield bytes;
  }

  /** Throws tier_failed after `close`. */
  assertOpen(action: string): void {
    if (this.#closed) throw new VitrineError("tier_failed", `${action}: tier ${this.#tier} is closed`);
  }

  /** Rejects further calls and waits for the running ones; returns false if it was closed before. */
  async close(): Promise<boolean> {
    if (this.#closed) return false;
    this.#closed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    return true;
  }
}

/** A store's source that remembers its own error, so that a client's failure can be told apart from the tier's. */
export interface WatchedSource {
  readonly source: StoreSource;
  /** True if the source threw this error. */
  threw(error: unknown): boolean;
}

/** Wraps a source so that its own errors can be recognised. */
export function watchSource(source: StoreSource): WatchedSource {
  let thrown: { readonly error: unknown } | undefined;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* source.chunks;
    } catch (error) {
      thrown = { error };
      throw error;
    }
  }
  function noting<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      thrown = { error };
      throw error;
    }
  }
  return {
    source: {
      ...source,
      chunks: chunks(),
      meta: () => noting(() => source.meta()),
      assertWanted: (replaced) => noting(() => source.assertWanted?.(replaced)),
    },
    threw: (error) => thrown !== undefined && thrown.error === error,
  };
}

/** Throws tier_failed if the received bytes are not those that were announced. */
export function assertAnnounced(
  { sizeBytes, crc }: { readonly sizeBytes: number; readonly crc: number },
  meta: ObjectMeta,
): void {
  if (meta.sizeBytes === sizeBytes && meta.crc32 === crc) return;
  throw new VitrineError(
    "tier_failed",
    `store object: ${sizeBytes} bytes with checksum ${crc} came, ${meta.sizeBytes} with ${meta.crc32} were announced`,
  );
}

/** A part of an object's bytes. */
export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * Returns the part of a range that is inside an object; the whole object without a range. The object may have been
 * replaced by a smaller one since its size was asked for.
 */
export function rangeWithin(range: ByteRange | undefined, sizeBytes: number): ByteRange {
  const end = Math.min(range?.end ?? sizeBytes, sizeBytes);
  return { start: Math.min(range?.start ?? 0, end), end };
}

/** The source of an object that is in memory as a whole. */
export function sourceOfWhole(object: WholeObject): StoreSource {
  const { meta, extents, durable } = object;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    yield* extents;
  }
  return {
    chunks: chunks(),
    sizeBytes: meta.sizeBytes,
    durable,
    meta: () => meta,
    assertWanted: () => object.assertWanted(),
  };
}

/** Shortest and longest wait before an unusable tier is tried again, in milliseconds. */
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [50, 3000];

/** The wait in milliseconds before the next attempt after this many failures in a row: growing, and randomised. */
export function retryMs(failures: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.5 + Math.random() / 2);
}

/** Tasks that run beside each other, up to a limit. After the first failure no more are started. */
export class InFlight {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly cause: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits until another task may start. Throws the first failure of a task. */
  async room(): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#assertSound();
  }

  start(task: Promise<unknown>): void {
    const running = task
      .catch((cause: unknown) => void (this.#failure ??= { cause }))
      .then(() => void this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for all tasks. Throws the first failure of a task. */
  async done(): Promise<void> {
    await this.settled();
    this.#assertSound();
  }

  /** Waits for all tasks, whether they succeed or fail. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}
