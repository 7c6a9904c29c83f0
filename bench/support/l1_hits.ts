import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { HitterData } from "./l1_thread.ts";

/** Hits a second of `threads` threads at once over the same memory, all together. */
export async function hitsOfThreads(threads: number, data: Omit<HitterData, "holder" | "gate">): Promise<number> {
  const gate = new SharedArrayBuffer(4);
  const workers = Array.from({ length: threads }, (_, i) => {
    const workerData: HitterData = { ...data, holder: i + 2, gate };
    return new Worker(join(import.meta.dirname, "l1_thread.ts"), { workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, "message")));
  const results = workers.map((worker) => once(worker, "message"));
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
  let hits = 0;
  for (const [perSecond] of await Promise.all(results)) hits += Number(perSecond);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return hits;
}
