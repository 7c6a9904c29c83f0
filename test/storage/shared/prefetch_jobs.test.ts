import { expect, test } from "bun:test";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { abandonJobs, type NewJob } from "../../../src/storage/shared/prefetch_jobs.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";

const ME = { high: 9, low: -9 };
const OTHER = { high: 9, low: 9 };

function threads(prefetchJobs = 2) {
  const memory = allocateSharedKeys({
    hashSeed: 7,
    stripes: 8,
    maxStaleKeys: 8,
    losses: 8,
    storedKeysBytes: 64,
    prefetchJobs,
  });
  const [one, two] = [2, 3].map((workerId) => new SharedKeys(memory, workerId).jobs);
  if (one === undefined || two === undefined) throw new Error("no threads");
  return { memory, one, two };
}

function job(low: number, fields: Partial<NewJob> = {}): NewJob {
  return { id: { high: -1, low }, owner: ME, mode: "full", keys: 3, leaseEndsMs: undefined, ...fields };
}

test("a job is seen by all threads, by its owner alone, and only under its id", () => {
  const { one, two } = threads();
  const mine = one.open(job(1, { leaseEndsMs: 1234.5 }));
  mine?.set(1, "hit");
  mine?.set(2, "loading");
  const id = { high: -1, low: 1 };
  expect(two.view(id, ME, 0)).toEqual({
    state: "running",
    mode: "full",
    outcomes: ["pending", "hit", "loading"],
    leaseEndsMs: 1234.5,
  });
  expect([two.view(id, OTHER, 0), two.view({ high: -1, low: 2 }, ME, 0), two.remove(id, OTHER, 0)]).toEqual([
    undefined,
    undefined,
    false,
  ]);
  expect([two.isRunning(id, ME, 0), mine?.end("deadline", 5), mine?.end("done", 6)]).toEqual([true, true, false]);
  mine?.set(0, "hit");
  expect(two.view(id, ME, 0)).toMatchObject({ state: "deadline", outcomes: ["not_attempted", "hit", "failed"] });
});

test("a job is forgotten a minute after its end, or when its row is needed, the one that ended first before others", () => {
  const { one, two } = threads();
  const [first, second] = [one.open(job(1)), two.open(job(2))];
  expect([two.open(job(3)), one.limit]).toEqual([undefined, 2]);
  second?.end("done", 10);
  // Its worker may still write into it.
  expect(one.open(job(3))).toBe(undefined);
  second?.settle();
  first?.end("done", 20);
  first?.settle();
  const known = (nowMs: number) => [1, 2, 3].map((low) => one.view({ high: -1, low }, ME, nowMs)?.state);
  expect(known(60_009)).toEqual(["done", "done", undefined]);
  expect(known(60_010)).toEqual(["done", undefined, undefined]);
  expect(one.open(job(3))).toBeDefined();
  expect(known(30)).toEqual(["done", undefined, "running"]);
});

test("a job that is removed ends at once, is found no more, and its row is free once its worker is done with it", () => {
  const { one, two } = threads(1);
  const mine = one.open(job(1));
  expect(two.remove({ high: -1, low: 1 }, ME, 0)).toBe(true);
  expect([mine?.isRunning, mine?.isRemoved, mine?.end("done", 1)]).toEqual([false, true, false]);
  expect([one.view({ high: -1, low: 1 }, ME, 0), two.remove({ high: -1, low: 1 }, ME, 0)]).toEqual([undefined, false]);
  expect(two.open(job(2))).toBe(undefined);
  mine?.settle();
  expect(two.open(job(2, { keys: 1 }))).toBeDefined();
  expect(one.view({ high: -1, low: 2 }, ME, 0)?.outcomes).toEqual(["pending"]);
});

test("jobs of a worker that is gone are stopped, those with leases also if they were done; of others nothing changes", () => {
  const { memory, one, two } = threads(5);
  const running = one.open(job(1));
  running?.set(0, "loaded");
  running?.set(1, "loading");
  one.open(job(2, { leaseEndsMs: 5 }))?.end("done", 1);
  one.open(job(3))?.end("done", 1);
  two.open(job(4, { leaseEndsMs: 5 }));
  abandonJobs(memory, 2, { stillRuns: true, nowMs: 7 });
  const views = () => [1, 2, 3, 4].map((low) => two.view({ high: -1, low }, ME, 60_000));
  expect(views().map((view) => [view?.state, view?.leaseEndsMs])).toEqual([
    ["stopped", undefined],
    ["stopped", undefined],
    ["done", undefined],
    ["running", 5],
  ]);
  expect(views()[0]?.outcomes).toEqual(["loaded", "failed", "not_attempted"]);
  expect([two.open(job(5)), two.open(job(6))].map((opened) => opened !== undefined)).toEqual([true, false]);
  // Its thread is certainly gone.
  abandonJobs(memory, 2, { stillRuns: false, nowMs: 7 });
  expect([6, 7, 8, 9].map((low) => two.open(job(low)) !== undefined)).toEqual([true, true, true, false]);
});
