/**
 * A thread of threads.test.ts: random operations on a shared L1, every byte checked, until it is told to stop or dies.
 */
import { parentPort, workerData } from "node:worker_threads";
import { crc32 } from "node:zlib";
import { Arena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import type { Resident } from "../../../src/l1/l1.ts";
import { Random } from "./crash_world.ts";
import { threadOptions } from "./thread_options.ts";

/** What a thread is given. */
export interface ThreadData {
  readonly memory: ArenaMemory;
  readonly holder: number;
  readonly seed: number;
  /** After so many batches it dies inside a section: it stands still for ever after a random write; 0: never. */
  readonly diesAfter: number;
  /** Word 0: 1 tells all to stop. Word 1 never changes. */
  readonly signals: SharedArrayBuffer;
}

/** What a thread says: a batch is done; it stands still inside a section; it has given everything back. */
export type ThreadSays =
  | { readonly kind: "batch" | "stopped"; readonly checked: number; readonly wrong: number }
  | { readonly kind: "cut" };

const BATCH = 150;
const KEYS = 80;
const MIN_BYTES = 1024;
const MAX_BYTES = 256 * 1024;
const MAX_HELD = 6;

const { memory, holder, seed, diesAfter, signals }: ThreadData = workerData;
const words = new Int32Array(signals);
const random = new Random(seed);
const noise = Uint8Array.from({ length: 2 * MAX_BYTES }, () => random.below(256));
const scratch = new Uint8Array(MAX_BYTES);
const held: Resident[] = [];
let l1 = new L1Manager(memory, threadOptions(holder));
let checked = 0;
let wrong = 0;

function say(message: ThreadSays): void {
  parentPort?.postMessage(message);
}

function keyAtRandom() {
  return { tenant: "", key: `key-${random.below(KEYS)}` };
}

function put(): void {
  const sizeBytes = Math.floor(MIN_BYTES * (MAX_BYTES / MIN_BYTES) ** (random.below(1000) / 1000));
  const request = { key: keyAtRandom(), sizeBytes, contentType: "", sha256: "" };
  const [staged] = l1.reserveWrite([request], `put-${holder}`);
  if (typeof staged !== "object") return;
  const from = random.below(MAX_BYTES);
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
    l1.admit(commit, { dirty: { maxEntries: 8, maxBytes: 1e6 } });
    // Whoever comes by stores them all, so that there is always room for more.
    for (const { resident } of l1.takeDirty(9)) l1.finishRead([resident.lease]);
  } else l1.finishWrite([commit], how < 6 ? "replace" : "keep");
}

function read(): void {
  const [found] = l1.reserveRead([keyAtRandom()]);
  if (found !== undefined) held.push(found);
  if (held.length > MAX_HELD) endRead(random.below(held.length));
}

/** Checks the bytes at the last moment that they are leased. */
function endRead(index: number): void {
  const [read] = held.splice(index, 1);
  if (read === undefined) return;
  let at = 0;
  for (const extent of read.extents) {
    scratch.set(extent, at);
    at += extent.length;
  }
  const isRight = crc32(scratch.subarray(0, at)) === read.meta.crc32 && at === read.meta.sizeBytes;
  const [wasHeld] = l1.finishRead([read.lease]);
  checked++;
  if (!isRight || wasHeld !== true) wrong++;
}

function step(): void {
  const choice = random.below(20);
  if (choice < 8) put();
  else if (choice < 17) read();
  else if (choice === 17) l1.delete([keyAtRandom()]);
  else if (choice === 18) l1.touch([keyAtRandom()]);
  else l1.tick();
}

/**
 * Views over the arena whose tables can be written a few times more; at the next write the thread stands still, lock in
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
  Object.defineProperty(arena, "words", { value: doom(arena.words) });
  Object.defineProperty(arena, "doubles", { value: doom(arena.doubles) });
  return arena;
}

let batches = 0;

function runBatch(): void {
  if (diesAfter > 0 && ++batches > diesAfter) l1 = new L1Manager(memory, threadOptions(holder), doomedArena());
  for (let i = 0; i < BATCH; i++) step();
  if (Atomics.load(words, 0) === 0) {
    say({ kind: "batch", checked, wrong });
    setImmediate(runBatch);
    return;
  }
  while (held.length > 0) endRead(0);
  say({ kind: "stopped", checked, wrong });
}

runBatch();
