import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { Worker } from "node:worker_threads";
import type { HitterData } from "./l1_thread.ts";

/** The totals of some threads that ran at once over the same memory. */
export interface Hits {
  readonly perSecond: number;
  /**
   * CPU time of the process for one hit: a busy neighbour hardly changes it, and threads that disturb each other do.
   */
  readonly cpuNs: number;
}

/** Hits of `threads` threads at once over the same memory. */
export async function hitsOfThreads(threads: number, data: Omit<HitterData, "workerId" | "gate">): Promise<Hits> {
  const gate = new SharedArrayBuffer(4);
  const workers = Array.from({ length: threads }, (_, i) => {
    const workerData: HitterData = { ...data, workerId: i + 2, gate };
    return new Worker(join(import.meta.dirname, "l1_thread.ts"), { workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, "message")));
  const results = workers.map((worker) => once(worker, "message"));
  const before = process.cpuUsage();
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
  let perSecond = 0;
  for (const [each] of await Promise.all(results)) perSecond += Number(each);
  const { user, system } = process.cpuUsage(before);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { perSecond, cpuNs: ((user + system) * 1000) / (perSecond * data.seconds) };
}
