import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { abandonJobs } from "../../../src/storage/shared/prefetch_jobs.ts";
import type { Holder, Prefetch, PrefetchState } from "../../../src/storage/storage.ts";
import {
  clusterBench,
  clusterParts,
  getText,
  key,
  ownerBench,
  pattern,
  put,
  type StorageBench,
  storageBench,
} from "../../support/storage_bench.ts";
import { until } from "../../support/until.ts";

const OWNER = { high: 3, low: 4 };

function begin(
  { storage }: Pick<StorageBench, "storage">,
  names: readonly string[],
  options: Partial<Prefetch> = {},
): Holder {
  return storage.prefetch(names.map((name) => key(name)), {
    mode: "full",
    owner: OWNER,
    deadlineMs: 60_000,
    ...options,
  });
}

async function stateOf({ storage }: Pick<StorageBench, "storage">, id: Holder): Promise<PrefetchState> {
  const state = await storage.prefetchState({ id, owner: OWNER }, 0);
  if (state === undefined) throw new Error("no such job");
  return state;
}

/** The outcomes of a job that has ended. */
async function ended(bench: Pick<StorageBench, "storage">, id: Holder): Promise<readonly string[]> {
  await until(async () => (await stateOf(bench, id)).state !== "running");
  return (await stateOf(bench, id)).outcomes;
}

async function prefetch(bench: StorageBench, names: readonly string[], options: Partial<Prefetch> = {}) {
  return await ended(bench, begin(bench, names, options));
}

/** Puts objects into L1 and the tiers, or the tiers alone. */
async function fill(bench: StorageBench, { l1 = [], l2 = [] }: { readonly l1?: string[]; readonly l2?: string[] }) {
  for (const name of l2) await put(bench.storage, name, { body: name, durability: "l2" });
  if (l2.length > 0) bench.evictAll();
  for (const name of l1) await put(bench.storage, name, { body: name, durability: "l2" });
}

function resident({ l1 }: StorageBench, names: readonly string[]): readonly string[] {
  const held = l1.has(names.map((name) => key(name)));
  return names.filter((_name, i) => held[i]);
}

test("a full prefetch brings all that some level has into L1, whatever is missing in between", async () => {
  const bench = storageBench({ tiers: 2 });
  await fill(bench, { l1: ["here"], l2: ["low", "lower"] });
  bench.tier(0).objects.delete("\0lower");
  const names = ["low", "none", "here", "lower", "none", "here"];
  expect(await prefetch(bench, names)).toEqual(["loaded", "miss", "hit", "loaded", "miss", "hit"]);
  expect(resident(bench, names)).toEqual(["low", "here", "lower", "here"]);
  expect(bench.l1.usage()).toMatchObject({ holds: 0, readLeases: 0 });
  // Nobody has read anything.
  expect([bench.named("sm.read.finished"), bench.named("lookup.finished")]).toEqual([[], []]);
  expect(bench.named("sm.prefetch.ended")).toMatchObject([
    { outcome: "done", hit: 2, loaded: 2, miss: 2, notAttempted: 0, noRoom: 0, failed: 0 },
  ]);
});

test("a prefix prefetch stops at the first key that cannot be had, and loads and leases nothing behind it", async () => {
  const bench = storageBench();
  await fill(bench, { l1: ["here", "late"], l2: ["low", "more"] });
  const loads = () => bench.tier(0).calls.filter((step) => step === "load").length;
  const names = ["here", "low", "none", "late", "more"];
  const id = begin(bench, names, { mode: "prefix", leaseMs: 1000 });
  expect(await ended(bench, id)).toEqual(["hit", "loaded", "miss", "not_attempted", "not_attempted"]);
  expect([loads(), bench.l1.usage().holds]).toEqual([1, 2]);
  expect(bench.storage.release(id, "")).toBe(2);
});

test("a prefix prefetch whose load fails leases what is before it, also if what is behind it was loaded sooner", async () => {
  const bench = storageBench();
  await fill(bench, { l1: ["here"], l2: ["low", "bad", "behind"] });
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.tier(0).gate = async (step, name) => {
    if (step !== "chunk" || name !== "bad") return;
    await promise;
    throw new Error("down");
  };
  const id = begin(bench, ["low", "here", "bad", "behind", "here"], { mode: "prefix", leaseMs: 1000 });
  await until(() => resident(bench, ["behind"]).length === 1);
  expect((await stateOf(bench, id)).outcomes.slice(2)).toEqual(["loading", "loading", "pending"]);
  resolve();
  expect(await ended(bench, id)).toEqual(["loaded", "hit", "failed", "loaded", "hit"]);
  expect(bench.l1.usage()).toMatchObject({ holds: 2, readLeases: 0, writeLeases: 0 });
});

test("what a prefetch leases stays in L1 until the lease is released or its time is over", async () => {
  const bench = storageBench();
  await fill(bench, { l1: ["a"], l2: ["b"] });
  const flood = async () => {
    for (let i = 0; i < 60; i++) await put(bench.storage, `flood${i}`, { body: pattern(2048) });
  };
  const id = begin(bench, ["a", "b"], { deadlineMs: 10_000, leaseMs: 5000 });
  await ended(bench, id);
  expect((await stateOf(bench, id)).leaseEndsMs).toBe(bench.time.nowMs() + 15_000);
  await flood();
  expect(resident(bench, ["a", "b"])).toEqual(["a", "b"]);
  bench.time.advance(14_999);
  bench.l1.tick();
  await flood();
  expect(resident(bench, ["a", "b"])).toEqual(["a", "b"]);
  bench.time.advance(1);
  bench.l1.tick();
  expect(bench.l1.usage().holds).toBe(0);
});

test("a prefetch with leases says what it had no room for, and loads no more then", async () => {
  const bench = storageBench();
  const names = Array.from({ length: 40 }, (_, i) => String(i));
  for (const name of names) await put(bench.storage, name, { body: pattern(2000), durability: "l2" });
  bench.evictAll();
  bench.tier(0).calls.length = 0;
  const outcomes = await prefetch(bench, names, { leaseMs: 1000 });
  const count = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length;
  // A quarter of L1.
  expect([count("loaded") + count("hit"), count("refused_no_room"), bench.l1.usage().holds]).toEqual([8, 32, 8]);
  expect(bench.tier(0).calls.filter((step) => step === "load").length).toBeLessThan(20);
  expect(bench.named("sm.lease.refused").length).toBe(32);
});

test("an object that L1 does not take is refused_no_room, one that a tier cannot give has failed", async () => {
  const bench = storageBench({ tiers: 2 });
  await put(bench.storage, "large", { body: pattern(5000), durability: "l2" });
  await fill(bench, { l2: ["bad", "good"] });
  for (const index of [0, 1]) {
    bench.tier(index).gate = (step, name) => {
      if (step === "load" && name === "bad") throw new Error("down");
    };
  }
  expect(await prefetch(bench, ["large", "bad", "good"])).toEqual(["refused_no_room", "failed", "loaded"]);
  for (const index of [0, 1]) {
    bench.tier(index).gate = (step) => {
      if (step === "lookup") throw new Error("down");
    };
  }
  bench.evictAll();
  expect(await prefetch(bench, ["none", "good"])).toEqual(["failed", "failed"]);
});

test("the deadline ends a job with what it has: a load in progress has failed, and leases nothing when it ends", async () => {
  const bench = storageBench();
  const names = Array.from({ length: 12 }, (_, i) => `slow${i}`);
  await fill(bench, { l1: ["here"], l2: names });
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.tier(0).gate = (step) => step === "chunk" ? promise : undefined;
  const id = begin(bench, ["here", ...names], { deadlineMs: 1000, leaseMs: 1000 });
  await until(() => bench.tier(0).calls.filter((step) => step === "chunk").length === 8);
  expect((await stateOf(bench, id)).state).toBe("running");
  bench.time.advance(1000);
  const { state, outcomes } = await stateOf(bench, id);
  const wanted = ["hit", ...Array(8).fill("failed"), ...Array(4).fill("not_attempted")];
  expect([state, outcomes]).toEqual(["deadline", wanted]);
  expect(bench.named("sm.prefetch.ended")).toMatchObject([{ outcome: "deadline", hit: 1, failed: 8, notAttempted: 4 }]);
  resolve();
  await until(() => resident(bench, names).length === 8);
  expect([await ended(bench, id), bench.l1.usage().holds]).toEqual([wanted, 1]);
});

test("the deadline ends a job whose tier does not answer the lookup: what L1 has is a hit", async () => {
  for (const mode of ["prefix", "full"] as const) {
    const bench = storageBench();
    await fill(bench, { l1: ["here"] });
    bench.tier(0).gate = (step) => step === "lookup" ? new Promise(() => {}) : undefined;
    const id = begin(bench, ["here", "asked"], { mode, deadlineMs: 1000 });
    await until(() => bench.tier(0).calls.includes("lookup"));
    bench.time.advance(1000);
    expect([mode, await ended(bench, id)]).toEqual([mode, ["hit", "not_attempted"]]);
  }
});

test("cancelling ends the job and exactly its leases, also those of loads that end later", async () => {
  const bench = storageBench();
  await fill(bench, { l1: ["here"], l2: ["slow", "slower"] });
  const other = begin(bench, ["here"], { leaseMs: 1000 });
  await ended(bench, other);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.tier(0).gate = (step) => step === "chunk" ? promise : undefined;
  const id = begin(bench, ["here", "slow", "slower"], { leaseMs: 1000 });
  await until(() => bench.tier(0).calls.filter((step) => step === "chunk").length === 2);
  expect(bench.l1.usage().holds).toBe(2);
  const cancel = (owner: Holder) => bench.storage.cancelPrefetch({ id, owner }, "");
  expect([cancel({ high: 0, low: 0 }), cancel(OWNER), cancel(OWNER)]).toEqual([false, true, false]);
  expect([await bench.storage.prefetchState({ id, owner: OWNER }, 0), bench.l1.usage().holds]).toEqual([undefined, 1]);
  resolve();
  await until(() => bench.named("sm.prefetch.ended").length === 2);
  expect(bench.named("sm.prefetch.ended")[1]).toMatchObject({ outcome: "cancelled", hit: 1 });
  expect(bench.l1.usage()).toMatchObject({ holds: 1, readLeases: 0, writeLeases: 0 });
});

test("no more jobs run than there may, and the next one is refused; a stopping server begins none", async () => {
  const bench = storageBench();
  for (let i = 0; i < 65; i++) expect(await prefetch(bench, ["a"])).toEqual(["miss"]);
  bench.tier(0).gate = (step) => step === "lookup" ? new Promise(() => {}) : undefined;
  const jobs = Array.from({ length: 64 }, () => begin(bench, ["a"]));
  expect(() => begin(bench, ["a"])).toThrow("64 jobs are running");
  expect(new Set(jobs.map(({ high, low }) => `${high} ${low}`)).size).toBe(64);
  await bench.storage.drain();
  expect(() => begin(bench, ["a"])).toThrow("shutting down");
  const [first] = jobs;
  if (first !== undefined) expect(await stateOf(bench, first)).toMatchObject({ state: "stopped" });
});

test("a job that is cancelled by another thread while it takes a lease keeps none", async () => {
  const bench = storageBench();
  await fill(bench, { l1: ["a", "b"] });
  const { l1, storage } = bench;
  const hold = l1.hold.bind(l1);
  const held: number[] = [];
  l1.hold = (keys, lease) => {
    // As it is if another thread comes in between.
    storage.cancelPrefetch({ id: lease.holder, owner: OWNER }, "");
    const outcomes = hold(keys, lease);
    held.push(l1.usage().holds);
    return outcomes;
  };
  for (const mode of ["full", "prefix"] as const) begin(bench, ["a", "b"], { mode, leaseMs: 1000 });
  await until(() => bench.named("sm.prefetch.ended").length === 2);
  expect(held).toEqual([2, 1]);
  expect(l1.usage().holds).toBe(0);
});

test("a request that waits for a job is answered when it ends, or when its own time is over", async () => {
  const bench = storageBench();
  await fill(bench, { l2: ["slow"] });
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.tier(0).gate = (step) => step === "chunk" ? promise : undefined;
  const id = begin(bench, ["slow"]);
  const states: (string | undefined)[] = [];
  const wait = async (ms: number) => {
    states.push((await bench.storage.prefetchState({ id, owner: OWNER }, ms))?.state);
  };
  const waiting = [wait(1000), wait(10_000)];
  bench.time.advance(1000);
  await waiting[0];
  expect(states).toEqual(["running"]);
  resolve();
  await until(async () => (await stateOf(bench, id)).state === "done");
  bench.time.advance(20);
  await waiting[1];
  expect(states).toEqual(["running", "done"]);
});

test("any worker answers for a job and cancels it; one whose worker is gone has stopped, and its leases have ended", async () => {
  const parts = clusterParts();
  const owner = ownerBench(parts, { workerId: 1 });
  const [one, other] = [2, 3].map((workerId) => clusterBench(parts, owner, { workerId }));
  if (one === undefined || other === undefined) throw new Error("no workers");
  for (const name of ["a", "b"]) await put(one.storage, name, { body: name, durability: "l2" });
  const done = begin(one, ["a"], { leaseMs: 1000 });
  expect(await ended(other, done)).toEqual(["hit"]);
  const cancelled = begin(one, ["a"], { leaseMs: 1000 });
  await ended(one, cancelled);
  expect([owner.l1.usage().holds, other.storage.cancelPrefetch({ id: cancelled, owner: OWNER }, "")]).toEqual([
    2,
    true,
  ]);
  expect(owner.l1.usage().holds).toBe(1);
  one.evictAll();
  one.tier(0).gate = (step) => step === "chunk" ? new Promise(() => {}) : undefined;
  const running = begin(one, ["a", "b", "none"], { leaseMs: 1000 });
  await until(() => one.tier(0).calls.includes("chunk"));
  // As main does it when it hears that the thread is gone.
  await one.die();
  abandonJobs(parts.keys, 2, { stillRuns: false, nowMs: parts.time.monotonicMs() });
  expect(await stateOf(other, running)).toMatchObject({ state: "stopped", outcomes: ["hit", "failed", "miss"] });
  expect(await stateOf(other, done)).toMatchObject({ state: "stopped", outcomes: ["hit"], leaseEndsMs: undefined });
  expect(owner.l1.usage().holds).toBe(0);
});

test("leases and prefetch jobs behave like a simple model, with slow and failing tiers", async () => {
  const names = ["a", "b", "c", "d"];
  const some = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 6 });
  const command = fc.oneof(
    fc.record({
      kind: fc.constantFrom("put" as const, "delete" as const, "read" as const),
      name: fc.constantFrom(...names),
    }),
    fc.record({ kind: fc.constant("lookup" as const), keys: some }),
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("prefetch" as const),
        keys: some,
        mode: fc.constantFrom("prefix" as const, "full" as const),
        leased: fc.boolean(),
        // Cancelled after so many turns of the event loop; undefined: never.
        cancelAfter: fc.option(fc.nat(6), { nil: undefined, freq: 3 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom(...(["evict", "fail", "heal", "slow", "tick"] as const)) }),
    },
    fc.record({ kind: fc.constant("release" as const), nth: fc.nat(5) }),
  );
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const outcomesSeen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(names),
      fc.array(command, { minLength: 6, maxLength: 20 }),
      async (stored, commands) => {
        const bench = storageBench({ tiers: 2 });
        const { storage, l1, time } = bench;
        await fill(bench, { l2: stored });
        const objects = new Map(stored.map((name) => [name, name]));
        /**
         * For each lease in force: its holder, its end and its objects; an object counts once for each time it was
         * asked.
         */
        let leases: { readonly holder: Holder; readonly endMs: number; readonly held: string[] }[] = [];
        const mode = { fails: false, turns: 0 };
        let begun = 0;
        for (const index of [0, 1]) {
          bench.tier(index).gate = async (step) => {
            for (let i = 0; i < mode.turns; i++) await turn();
            if (mode.fails && (step === "lookup" || step === "load")) throw new Error("down");
          };
        }
        const forget = (name: string) => leases.forEach((each) => each.held.push(`gone ${name}`));
        for (const [number, each] of commands.entries()) {
          if (each.kind === "put") {
            objects.set(each.name, String(number));
            forget(each.name);
            await put(storage, each.name, { body: String(number), durability: "l2" });
          } else if (each.kind === "delete") {
            objects.delete(each.name);
            forget(each.name);
            await storage.delete(key(each.name));
          } else if (each.kind === "read") {
            // A miss is an error while a tier fails.
            if (mode.fails && resident(bench, [each.name]).length === 0) continue;
            expect(await getText(storage, each.name)).toBe(objects.get(each.name));
          } else if (each.kind === "lookup") {
            const holder = { high: 1, low: number };
            const endMs = time.monotonicMs() + 3000;
            const leasing = { holder, untilMs: endMs, loads: false };
            const { levels } = await storage.lookup(each.keys.map((name) => key(name)), { leasing });
            leases.push({ holder, endMs, held: each.keys.filter((_name, i) => ((levels[i] ?? 0) & 1) === 1) });
          } else if (each.kind === "prefetch") {
            const { keys, leased, cancelAfter } = each;
            const wasInL1 = resident(bench, keys);
            const leaseMs = leased ? 1000 : undefined;
            const endMs = time.monotonicMs() + 2000 + 1000;
            const id = begin(bench, keys, { mode: each.mode, deadlineMs: 2000, leaseMs });
            if (cancelAfter !== undefined) {
              for (let i = 0; i < cancelAfter; i++) await turn();
              expect(storage.cancelPrefetch({ id, owner: OWNER }, "")).toBe(true);
              begun += 1;
              await until(() => bench.named("sm.prefetch.ended").length === begun);
              expect(storage.release(id, "")).toBe(0);
              continue;
            }
            const outcomes = await ended(bench, id);
            begun += 1;
            for (const outcome of outcomes) outcomesSeen.add(outcome);
            const isGood = (outcome: string | undefined) => outcome === "hit" || outcome === "loaded";
            const hole = outcomes.findIndex((outcome) => !isGood(outcome));
            for (const [i, name] of keys.entries()) {
              const outcome = outcomes[i];
              const at = `${each.mode} ${name}: ${outcome}`;
              if (isGood(outcome) && leased) expect([at, objects.has(name)]).toEqual([at, true]);
              if (outcome === "miss") expect([at, objects.has(name)]).toEqual([at, false]);
              if (outcome === "failed") expect([at, mode.fails]).toEqual([at, true]);
              if (outcome === "hit" && !keys.slice(0, i).includes(name)) {
                expect([at, wasInL1]).toEqual([at, expect.arrayContaining([name])]);
              }
              if (outcome === "not_attempted") {
                expect([at, each.mode, hole !== -1 && hole < i]).toEqual([at, "prefix", true]);
              }
              expect(outcome).not.toBe("refused_no_room");
              if (!mode.fails && objects.has(name) && each.mode === "full") {
                expect([at, isGood(outcome)]).toEqual([at, true]);
              }
            }
            const held = keys.filter((_name, i) =>
              isGood(outcomes[i]) && (each.mode === "full" || hole === -1 || i < hole)
            );
            if (leased) leases.push({ holder: id, endMs, held });
          } else if (each.kind === "release") {
            const lease = leases[each.nth];
            if (lease === undefined) continue;
            const count = lease.held.filter((name) => !name.startsWith("gone ")).length;
            expect(storage.release(lease.holder, "")).toBe(count);
            leases = leases.filter((other) => other !== lease);
          } else if (each.kind === "tick") {
            time.advance(1000);
            l1.tick();
            leases = leases.filter(({ endMs }) => endMs > time.monotonicMs());
          } else if (each.kind === "evict") bench.evictAll();
          else Object.assign(mode, { fails: each.kind === "fail", turns: each.kind === "slow" ? 3 : 0 });
          const live = leases.flatMap(({ held }) =>
            held.filter((name, i) => !name.startsWith("gone ") && !held.includes(`gone ${name}`, i))
          );
          expect(resident(bench, live)).toEqual(live);
          expect(l1.usage().holds).toBe(
            leases.flatMap(({ held }) => held.filter((name) => !name.startsWith("gone "))).length,
          );
        }
        for (const { holder } of leases) storage.release(holder, "");
        expect(l1.usage()).toMatchObject({ holds: 0, heldBytes: 0, readLeases: 0, writeLeases: 0 });
      },
    ),
    { numRuns: 100 },
  );
  // The model has seen all outcomes that it knows.
  expect([...outcomesSeen].sort()).toEqual(["failed", "hit", "loaded", "miss", "not_attempted"]);
});
