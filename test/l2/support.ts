import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Clock } from "../../src/core/clock.ts";
import { VitrineError } from "../../src/core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../src/core/object.ts";
import type { Publish } from "../../src/core/events.ts";
import type { EventMap } from "../../src/events/catalogue.ts";
import type { L2Load, L2Reader, StoreSource, TierRemovalListener } from "../../src/l2/adapter.ts";

/** A clock that moves only by hand. */
export class FakeClock implements Clock {
  #nowMs: number;
  #stepMs = 0;

  constructor(startMs: number = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#stepMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Sets wall time forward, or back. */
  step(ms: number): void {
    this.#stepMs += ms;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

/** What an adapter is opened with in a test, and what it published. */
export interface Bench {
  readonly clock: FakeClock;
  readonly publish: Publish<EventMap>;
  /** `l2.removed` as "reason tenant keys bytes", in order. */
  readonly removed: string[];
  readonly onRemoved: TierRemovalListener;
  /** What the listener was told, as "reason tenant key". */
  readonly left: string[];
}

export function newBench(startMs?: number): Bench {
  const removed: string[] = [];
  const left: string[] = [];
  return {
    clock: new FakeClock(startMs),
    removed,
    left,
    onRemoved: ({ tenant, key: name }, reason) => void left.push(`${reason} ${tenant} ${name}`),
    publish(name, fields) {
      if (name === "l2.committed" || name === "l2.commit.timed" || name === "l2.reclaimed") return;
      const { reason, tenant, keys, bytes } = Object.assign({ reason: "", tenant: "", keys: 0, bytes: 0 }, fields);
      removed.push(`${name === "l2.removed" ? "" : name}${reason} ${tenant} ${keys} ${bytes}`);
    },
  };
}

/** Runs `body` with a new folder that is removed afterwards. */
export async function inFolder<T>(body: (folder: string) => Promise<T>, base: string = tmpdir()): Promise<T> {
  const folder = mkdtempSync(join(base, "vitrine-l2-"));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function key(name: string, tenant = ""): ObjectKey {
  return { tenant, key: name };
}

/** Bytes that differ by position and seed. */
export function pattern(sizeBytes: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let state = seed * 2_654_435_761 >>> 0;
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

let lastVersion = 1_700_000_000_000 * 1024;

export function metaOf(bytes: Uint8Array, over: Partial<ObjectMeta> = {}): ObjectMeta {
  lastVersion += 1;
  return {
    sizeBytes: bytes.length,
    crc32: crc32(bytes),
    version: lastVersion,
    createdMs: 1_700_000_000_000.25,
    expiresMs: 0,
    contentType: "application/octet-stream",
    sha256: "",
    ...over,
  };
}

/**
 * A source whose chunks lie over one reused piece of shared memory, as the arena's do, and are wiped once the next is
 * asked for.
 */
export function sourceOf(
  bytes: Uint8Array,
  options: { readonly meta?: Partial<ObjectMeta>; readonly chunkBytes?: number; readonly sized?: boolean } = {},
): StoreSource {
  const chunkBytes = options.chunkBytes ?? 64 * 1024;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    const window = new Uint8Array(new SharedArrayBuffer(chunkBytes));
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      const part = bytes.subarray(at, at + chunkBytes);
      window.set(part);
      yield window.subarray(0, part.length);
      window.fill(0xee);
    }
  }
  return {
    chunks: chunks(),
    ...(options.sized === false ? {} : { sizeBytes: bytes.length }),
    early: metaOf(bytes, options.meta),
    meta: () => metaOf(bytes, options.meta),
  };
}

export async function readAll(load: L2Load | undefined): Promise<Uint8Array | undefined> {
  if (load === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of load.chunks) chunks.push(chunk.slice());
  return new Uint8Array(Buffer.concat(chunks));
}

/** Whether the adapter holds exactly these bytes. */
export async function holds(adapter: L2Reader, at: ObjectKey, bytes: Uint8Array): Promise<boolean> {
  const read = await readAll(await adapter.load(at));
  return read !== undefined && Buffer.compare(read, bytes) === 0;
}

/** The code of the VitrineError that a call fails with; throws if it fails otherwise or not at all. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof VitrineError) return error.code;
    throw error;
  }
  throw new Error("The call should have failed");
}
