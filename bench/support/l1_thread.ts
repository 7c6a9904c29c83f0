/** A thread of bench/l1.ts --threads: reads the same few objects as fast as it can for a while, and says how often. */
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../src/core/clock.ts";
import type { ObjectKey } from "../../src/core/object.ts";
import type { ArenaMemory } from "../../src/l1/arena/arena.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";

/** Options of a thread; `gate` is one shared word: it starts when that is 1. */
export interface HitterData {
  readonly memory: ArenaMemory;
  readonly workerId: number;
  readonly keys: readonly ObjectKey[];
  readonly seconds: number;
  readonly gate: SharedArrayBuffer;
}

const { memory, workerId, keys, seconds, gate }: HitterData = workerData;
const l1 = new L1Manager(memory, {
  workerId,
  clock: systemClock,
  publish: () => {},
  policy: "s3-fifo",
  admissionLimitBytes: 1024 * 1024,
  readLeaseMs: 300_000,
  writeLeaseMs: 600_000,
  highWatermark: 1,
  lowWatermark: 1,
  format: false,
});

function hit(i: number): void {
  const key = keys[(i * 7919) % keys.length];
  if (key === undefined) throw new Error("read: no keys");
  const found = l1.hit(key, 65_536, (_meta, extents) => extents);
  if (found === undefined) throw new Error(`read: no hit of ${key.key}`);
}

for (let i = 0; i < 100_000; i++) hit(i);
parentPort?.postMessage("ready");
Atomics.wait(new Int32Array(gate), 0, 0);
const start = performance.now();
let hits = 0;
for (; performance.now() - start < seconds * 1000; hits += 1000) for (let i = 0; i < 1000; i++) hit(hits + i);
parentPort?.postMessage((hits / (performance.now() - start)) * 1000);
