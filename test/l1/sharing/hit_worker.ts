/** A thread of hit_threads.test.ts: hits, or replaces and deletes, as fast as it can, until it is told to stop. */
import { Buffer } from "node:buffer";
import { parentPort, workerData } from "node:worker_threads";
import type { ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { Random } from "./crash_world.ts";
import { threadOptions } from "./thread_options.ts";

/** What a thread is given. */
export interface HitThread {
  readonly memory: ArenaMemory;
  readonly workerId: number;
  readonly does: "hits" | "writes";
  readonly seed: number;
  /** Number of keys; with 1, all threads use the same one. */
  readonly keys: number;
  /** Word 0: 1 tells all to stop. Word `workerId`: what the thread has done so far. */
  readonly signals: SharedArrayBuffer;
}

/** What a thread says at its end. */
export interface HitReport {
  readonly hits: number;
  readonly wrong: readonly string[];
}

const MAX_BYTES = 6000;
const BATCH = 200;

const { memory, workerId, does, seed, keys, signals }: HitThread = workerData;
const words = new Int32Array(signals);
const random = new Random(seed);
const l1 = new L1Manager(memory, threadOptions(workerId));
const scratch = Buffer.alloc(MAX_BYTES);
const pattern = Buffer.from(Uint8Array.from({ length: 256 + MAX_BYTES }, (_, at) => (at * 11 + (at >>> 8)) & 255));
const wrong: string[] = [];
let hits = 0;
let version = workerId * 1e9;

/** The bytes that the object of a key has in a version, which also gives its size. */
function bytesOf(index: number, of: number): Uint8Array {
  const from = (of * 37 + index * 101) & 255;
  return pattern.subarray(from, from + 1 + ((of * 7919) % MAX_BYTES));
}

function keyOf(index: number) {
  return { tenant: "", key: `key-${index}` };
}

function hit(): void {
  const index = random.below(keys);
  l1.hit(keyOf(index), MAX_BYTES, (meta, extents) => {
    let at = 0;
    for (const extent of extents) {
      scratch.set(extent, at);
      at += extent.length;
    }
    hits++;
    const isRight = at === meta.sizeBytes && scratch.subarray(0, at).equals(bytesOf(index, meta.version));
    if (!isRight) wrong.push(`key ${index}, version ${meta.version}, ${at} of ${meta.sizeBytes} bytes`);
    return true;
  });
}

function write(): void {
  const index = random.below(keys);
  if (random.below(8) === 0) {
    l1.delete([keyOf(index)]);
    return;
  }
  const bytes = bytesOf(index, ++version);
  const request = { key: keyOf(index), sizeBytes: bytes.length, contentType: "", sha256: "" };
  const [staged] = l1.reserveWrite([request], `put-${workerId}`);
  if (typeof staged !== "object") return;
  let at = 0;
  for (const extent of staged.extents) {
    const part = bytes.subarray(at, at + extent.length);
    extent.set(part);
    at += part.length;
  }
  const commit = { lease: staged.lease, sizeBytes: bytes.length, crc32: 0, version, createdMs: 0, expiresMs: 0 };
  l1.finishWrite([commit], "replace");
}

function runBatch(): void {
  for (let i = 0; i < BATCH; i++) {
    if (does === "hits") hit();
    else write();
  }
  Atomics.add(words, workerId, BATCH);
  if (Atomics.load(words, 0) === 0) setImmediate(runBatch);
  else parentPort?.postMessage({ hits, wrong } satisfies HitReport);
}

runBatch();
