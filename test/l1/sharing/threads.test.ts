import { expect, test } from "bun:test";
import { join } from "node:path";
import process from "node:process";
import { Worker } from "node:worker_threads";
import { systemClock } from "../../../src/core/clock.ts";
import { allocateArena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { Random } from "./crash_world.ts";
import { audit, clear, MIB } from "../support.ts";
import { threadOptions } from "./thread_options.ts";
import type { ThreadData, ThreadSays } from "./thread_worker.ts";

const THREADS = 3;
const DEATHS = Number(process.env["L1_THREAD_DEATHS"] ?? 10);
const isBun = process.versions["bun"] !== undefined;

/** One thread, and its next words. */
class Thread {
  readonly workerId: number;
  readonly diesAfter: number;
  readonly #worker: Worker;
  readonly #said: ThreadSays[] = [];
  #hear: () => void = () => {};

  /** `onCut`: it stops, lock in hand, and the others wait for it. */
  constructor(data: ThreadData, onCut: (workerId: number) => void) {
    this.workerId = data.workerId;
    this.diesAfter = data.diesAfter;
    this.#worker = new Worker(join(import.meta.dirname, "thread_worker.ts"), { workerData: data });
    this.#worker.on("message", (message: ThreadSays) => {
      if (message.kind === "cut") onCut(data.workerId);
      this.#said.push(message);
      this.#hear();
    });
    this.#worker.on("error", (error: unknown) => {
      // A thread that runs on although it was terminated finds itself fenced.
      if (!String(error).includes("declared dead")) throw error;
    });
  }

  /** The next thing it says of these kinds. */
  async next(kinds: readonly ThreadSays["kind"][]): Promise<ThreadSays> {
    for (;;) {
      const message = this.#said.shift();
      if (message === undefined) await new Promise<void>((resolve) => this.#hear = resolve);
      else if (kinds.includes(message.kind)) return message;
    }
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

function wrongOf(message: ThreadSays): number {
  return message.kind === "cut" ? 0 : message.wrong;
}

/** Kills a thread and tidies up after it. */
async function bury(main: L1Manager, thread: Thread): Promise<void> {
  if (thread.diesAfter > 0) {
    // It was tidied up after when it stood still, which is as dead as can be.
    await thread.next(["cut"]);
    await thread.terminate();
    return;
  }
  expect(wrongOf(await thread.next(["batch"]))).toBe(0);
  await thread.terminate();
  // Deno says that a thread has ended when it may be at work still.
  await main.takeOver(thread.workerId, { stillRuns: !isBun });
}

/** Ends all leases that anybody left, and the objects. */
function sweep(main: L1Manager, memory: ArenaMemory): void {
  for (const { resident } of main.takeDirty(99)) main.finishRead([resident.lease]);
  const later = { nowMs: () => Date.now() + 10_000, monotonicMs: () => systemClock.monotonicMs() + 10_000 };
  new L1Manager(memory, { ...threadOptions(1, later), format: false }).tick();
  clear(main);
}

test("threads that die at any moment leave no wrong byte, no lease and no memory behind", async () => {
  const memory = allocateArena({ sizeBytes: 8 * MIB, maxObjects: 256, maxLeases: 128, hashSeed: 7 });
  const main = new L1Manager(memory, threadOptions(1));
  const signals = new SharedArrayBuffer(8);
  const random = new Random(Date.now());
  let holders = 1;
  const onCut = (workerId: number) => void main.takeOver(workerId);
  const spawn = (diesAfter: number) =>
    new Thread({ memory, workerId: ++holders, seed: random.below(2 ** 31), signals, diesAfter }, onCut);
  const threads = Array.from({ length: THREADS }, (_, i) => spawn(i === 0 ? 2 : 0));
  for (let death = 0; death < DEATHS; death++) {
    const victim = threads.shift();
    if (victim === undefined) break;
    await bury(main, victim);
    threads.push(spawn(death % 2 === 0 ? 1 + random.below(5) : 0));
  }
  Atomics.store(new Int32Array(signals), 0, 1);
  let checked = 0;
  let hits = 0;
  for (const thread of threads) {
    const last = await thread.next(["stopped", "cut"]);
    expect(wrongOf(last)).toBe(0);
    if (last.kind === "stopped") {
      checked += last.checked;
      hits += last.hits;
    }
    await thread.terminate();
  }
  sweep(main, memory);
  audit(memory);
  expect(main.repairs).toBeGreaterThan(0);
  expect(checked).toBeGreaterThan(0);
  expect(hits).toBeGreaterThan(0);
  const { usedBytes, stagingBytes, objects, readLeases, writeLeases, holds } = main.usage();
  expect({ usedBytes, stagingBytes, objects, readLeases, writeLeases, holds }).toEqual({
    usedBytes: 0,
    stagingBytes: 0,
    objects: 0,
    readLeases: 0,
    writeLeases: 0,
    holds: 0,
  });
});
