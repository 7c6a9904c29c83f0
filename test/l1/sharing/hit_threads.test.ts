import { expect, test } from "bun:test";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { Worker } from "node:worker_threads";
import { systemClock } from "../../../src/core/clock.ts";
import { allocateArena } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { until } from "../../support/until.ts";
import { audit, clear } from "../support.ts";
import type { HitReport, HitThread } from "./hit_worker.ts";
import { threadOptions } from "./thread_options.ts";

const STEPS = Number(process.env["L1_HIT_STEPS"] ?? 12_000);
const isBun = process.versions["bun"] !== undefined;

/** Resolves once each of these threads has taken `steps` steps. */
function stepped(words: Int32Array, workerIds: readonly number[], steps: number): Promise<void> {
  return until(() => workerIds.every((workerId) => Atomics.load(words, workerId) >= steps));
}

for (const keys of [1, 40]) {
  test(
    `hits of ${keys} keys give the bytes of their key and version while those are replaced, freed and reused, and threads die`,
    async () => {
      const memory = allocateArena({ sizeBytes: 96 * 1024, maxObjects: 64, maxLeases: 64, hashSeed: 7 });
      const main = new L1Manager(memory, threadOptions(1));
      const signals = new SharedArrayBuffer(64);
      const words = new Int32Array(signals);
      const start = (workerId: number, does: HitThread["does"]) => {
        const workerData: HitThread = { memory, workerId, does, seed: workerId * 7919 + keys, keys, signals };
        const worker = new Worker(join(import.meta.dirname, "hit_worker.ts"), { workerData });
        // A thread that runs on although it was terminated finds itself fenced.
        worker.on("error", (error: unknown) => {
          if (!String(error).includes("declared dead")) throw error;
        });
        return worker;
      };
      const writer = start(2, "writes");
      const reader = start(3, "hits");
      for (const workerId of [4, 5, 6]) {
        const dying = start(workerId, "hits");
        await stepped(words, [workerId], STEPS / 8);
        await dying.terminate();
        await main.takeOver(workerId, { stillRuns: !isBun });
      }
      await stepped(words, [2, 3], STEPS);
      const ends = [writer, reader].map((worker) => once(worker, "message"));
      Atomics.store(words, 0, 1);
      let hits = 0;
      for (const [message] of await Promise.all(ends)) {
        const report: HitReport = message;
        expect(report.wrong).toEqual([]);
        hits += report.hits;
      }
      expect(hits).toBeGreaterThan(STEPS / 10);
      await Promise.all([writer, reader].map((worker) => worker.terminate()));
      // What a thread that may still run was hitting is kept for five seconds.
      const later = { nowMs: () => Date.now() + 10_000, monotonicMs: () => systemClock.monotonicMs() + 10_000 };
      new L1Manager(memory, { ...threadOptions(1, later), format: false }).tick();
      audit(memory);
      clear(main);
      const { usedBytes, readLeases, writeLeases } = main.usage();
      expect({ usedBytes, readLeases, writeLeases }).toEqual({ usedBytes: 0, readLeases: 0, writeLeases: 0 });
    },
  );
}
