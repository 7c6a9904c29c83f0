/**
 * A thread of threads.test.ts: random operations on a shared L1, every byte checked, until it is told to stop or dies.
 */
import { parentPort, workerData } from "node:worker_threads";
import { crc32 } from "node:zlib";
import { Arena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import type { ObjectMeta } from "../../../src/core/object.ts";
import type { Resident } from "../../../src/l1/l1.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { Random } from "./crash_world.ts";
import { threadOptions } from "./thread_options.ts";

/** What a thread is given. */
export interface ThreadData {
  readonly memory: ArenaMemory;
  readonly workerId: number;
  readonly seed: number;
  /** After so many batches it dies inside a section: it stops for ever after a random write; 0: never. */
  readonly diesAfter: number;
  /** Word 0: 1 tells all to stop. Word 1 never changes. */
  readonly signals: SharedArrayBuffer;
}

/** What a thread says: a batch is done; it is stopped inside a section; it has given everything back. */
export type ThreadSays =
  | { readonly kind: "batch" | "stopped"; readonly checked: number; readonly wrong: number; readonly hits: number }
  | { readonly kind: "cut" };

const BATCH = 150;
const KEYS = 80;
const MIN_BYTES = 1024;
const MAX_BYTES = 256 * 1024;
const MAX_HELD = 6;
const HOLDER = { high: 1, low: 2 };
const DIRTY = { maxEntries: 8, maxBytes: 1e6 };

const { memory, workerId, seed, diesAfter, signals }: ThreadData = workerData;
const words = new Int32Array(signals);
const random = new Random(seed);
const noise = Uint8Array.from({ length: 2 * MAX_BYTES }, () => random.below(256));
const scratch = new Uint8Array(MAX_BYTES);
const held: Resident[] = [];
let l1 = new L1Manager(memory, threadOptions(workerId));
let checked = 0;
let wrong = 0;
let hits = 0;

function say(message: ThreadSays): void {
  parentPort?.postMessage(message);
}

function keyAtRandom() {
  return { tenant: "", key: `key-${random.below(KEYS)}` };
}

function put(): void {
  const sizeBytes = Math.floor(MIN_BYTES * (MAX_BYTES / MIN_BYTES) ** (random.below(1000) / 1000));
  const request = { key: keyAtRandom(), sizeBytes, contentType: "", sha256: "" };
  const from = random.below(MAX_BYTES);
  if (random.below(2) === 0) {
    const bytes = noise.subarray(from, from + sizeBytes);
    const { key, ...kept } = request;
    const meta = { ...kept, crc32: crc32(bytes), version: 1, createdMs: 0, expiresMs: 0 };
    l1.write({ key, meta, bytes }, { dirty: random.below(4) === 0 ? DIRTY : undefined });
    return storeAll();
  }
  const [staged] = l1.reserveWrite([request], `put-${workerId}`);
  if (typeof staged !== "object") return;
  let at = from;
  for (const extent of staged.extents) {
    const part = noise.subarray(at, Math.min(at + extent.length, from + sizeBytes));
    extent.set(part);
    at += part.length;
  }
  const checksum = crc32(noise.subarray(from, from + sizeBytes));
  const commit = { lease: staged.lease, sizeBytes, crc32: checksum, version: 1, createdMs: 0, expiresMs: 0 };
  const how = random.below(10);
  if (how === 0) l1.abort([staged.lease]);
  else if (how === 1) {
    l1.admit(commit, { dirty: DIRTY });
    storeAll();
  } else l1.finishWrite([commit], how < 6 ? "replace" : "keep");
}

/** Whoever comes by stores all that is dirty, so that there is always room for more. */
function storeAll(): void {
  for (const { resident } of l1.takeDirty(9)) l1.finishRead([resident.lease]);
}

function read(): void {
  const [found] = l1.reserveRead([keyAtRandom()]);
  if (found !== undefined) held.push(found);
  if (held.length > MAX_HELD) endRead(random.below(held.length));
}

function isWhole(meta: ObjectMeta, extents: readonly Uint8Array[]): boolean {
  let at = 0;
  for (const extent of extents) {
    scratch.set(extent, at);
    at += extent.length;
  }
  return crc32(scratch.subarray(0, at)) === meta.crc32 && at === meta.sizeBytes;
}

/** Checks the bytes at the last moment that they are leased. */
function endRead(index: number): void {
  const [read] = held.splice(index, 1);
  if (read === undefined) return;
  const isRight = isWhole(read.meta, read.extents);
  const [wasHeld] = l1.finishRead([read.lease]);
  checked++;
  if (!isRight || wasHeld !== true) wrong++;
}

/** Checks the bytes of a small object while it is hit. */
function hit(): void {
  l1.hit(keyAtRandom(), 32 * 1024, (meta, extents) => {
    checked++;
    hits++;
    if (!isWhole(meta, extents)) wrong++;
    return true;
  });
}

function step(): void {
  const choice = random.below(28);
  if (choice < 8) put();
  else if (choice < 17) read();
  else if (choice === 17) l1.delete([keyAtRandom()]);
  else if (choice === 18) l1.touch([keyAtRandom()]);
  else if (choice === 19) l1.tick();
  else if (choice === 20) l1.hold([keyAtRandom()], { holder: HOLDER, untilMs: systemClock.monotonicMs() + 10 });
  else if (choice === 21) l1.release(HOLDER, "");
  else hit();
}

/**
 * Views over the arena whose tables can be written a few times more; at the next write the thread stops, lock in
 * hand.
 */
function doomedArena(): Arena {
  const arena = new Arena(memory);
  let left = random.below(400);
  const spend = () => {
    if (left-- > 0) return;
    say({ kind: "cut" });
    for (;;) Atomics.wait(words, 1, 0);
  };
  const doom = <T extends Int32Array | Float64Array>(target: T): T =>
    new Proxy(target, {
      get: (_, name) => Reflect.get(target, name),
      set(_, name, value) {
        spend();
        target[Number(name)] = Number(value);
        return true;
      },
    });
  const { words: plain, atomics } = arena;
  Object.defineProperty(arena, "words", { value: doom(plain) });
  Object.defineProperty(arena, "atomics", {
    value: {
      load: (index: number) => atomics.load(index),
      store(index: number, value: number) {
        spend();
        atomics.store(index, value);
      },
      replace(index: number, expected: number, value: number) {
        spend();
        return atomics.replace(index, expected, value);
      },
    },
  });
  Object.defineProperty(arena, "doubles", { value: doom(arena.doubles) });
  return arena;
}

let batches = 0;

function runBatch(): void {
  if (diesAfter > 0 && ++batches > diesAfter) l1 = new L1Manager(memory, threadOptions(workerId), doomedArena());
  for (let i = 0; i < BATCH; i++) step();
  if (Atomics.load(words, 0) === 0) {
    say({ kind: "batch", checked, wrong, hits });
    setImmediate(runBatch);
    return;
  }
  while (held.length > 0) endRead(0);
  say({ kind: "stopped", checked, wrong, hits });
}

runBatch();
