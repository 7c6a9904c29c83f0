import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ObjectKey } from "../../../src/core/object.ts";
import { MapAdapter, type Stored } from "../../support/map_adapter.ts";
import {
  type BenchOptions,
  clusterBench,
  clusterParts,
  getText,
  key,
  ManualTime,
  ownerBench,
  put,
  type StorageBench,
  storageBench,
} from "../../support/storage_bench.ts";

/** For how long L1 may use a copy. */
const MAX_AGE_MS = 60_000;

/** For how long a reader waits for a verification. */
const PATIENCE_MS = 2000;

/** For how long nobody waits after that. */
const PAUSE_MS = 5000;

/** Past the size that is hit in one step. */
const SIZE = { l1Bytes: 1_000_000, admissionLimitBytes: 100_000 };

interface Servers {
  readonly time: ManualTime;
  readonly a: StorageBench;
  readonly b: StorageBench;
}

/** Two servers with one bucket, the last of their tiers. */
function servers(options: BenchOptions = {}): Servers {
  const time = new ManualTime();
  const bucket = new Map<string, Stored>();
  const { tiers = 1 } = options;
  const start = (): StorageBench => {
    const own = Array.from({ length: tiers - 1 }, () => new Map<string, Stored>());
    const maxAgesMs = [...own.map(() => undefined), MAX_AGE_MS];
    const bench = storageBench({ maxAgesMs, ...SIZE, ...options, time, stores: [...own, bucket] });
    bench.time.after = () => new Promise((resolve) => setImmediate(resolve));
    return bench;
  };
  return { time, a: start(), b: start() };
}

async function turns(count: number = 10): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const through = async ({ storage }: StorageBench, name: string, body: string): Promise<void> => {
  await put(storage, name, { body, durability: "l2" });
};

const lookups = (bench: StorageBench, tier = 0): number =>
  bench.tier(tier).calls.filter((call) => call === "lookup").length;

for (const size of [10, 50_000]) {
  test(`a copy of ${size} bytes is used without a question up to the bound, and verified once after it`, async () => {
    const { time, a, b } = servers();
    await through(a, "k", "old".padEnd(size, "."));
    const old = await getText(b.storage, "k");
    await through(a, "k", "new".padEnd(size, "."));
    const before = lookups(b);
    time.advance(MAX_AGE_MS);
    expect([await getText(b.storage, "k"), lookups(b) - before]).toEqual([old, 0]);
    time.advance(1);
    const read = await Promise.all([1, 2, 3].map(() => getText(b.storage, "k")));
    expect(read.map((text) => text?.slice(0, 3))).toEqual(["new", "new", "new"]);
    expect(lookups(b) - before).toBe(1);
    const seconds = (MAX_AGE_MS + 1) / 1000;
    expect(b.named("l2.changed_elsewhere")).toEqual([{ tier: "t1", scope: "key", seconds }]);
  });
}

test("a copy that is current stays in L1, and is not verified again before its time", async () => {
  const { time, a, b } = servers();
  await through(a, "k", "same");
  await getText(b.storage, "k");
  const { calls } = b.tier(0);
  const before = calls.length;
  for (const round of [1, 2, 3]) {
    time.advance(MAX_AGE_MS + 1);
    for (const _ of [1, 2, 3]) expect(await getText(b.storage, "k")).toBe("same");
    expect(calls.slice(before)).toEqual(Array(round).fill("lookup"));
  }
  expect(b.named("l2.changed_elsewhere")).toEqual([]);
  expect(b.named("lookup.finished").at(-1)).toMatchObject({ tier: "l1", result: "hit" });
});

test("an object that another server deleted is a miss after the bound, whatever asks for it", async () => {
  const asks: readonly ((bench: StorageBench) => Promise<unknown>)[] = [
    ({ storage }) => getText(storage, "k"),
    async ({ storage }) => await storage.head(key("k")),
    async ({ storage }) => (await storage.lookup([key("k")])).levels[0] === 0 ? undefined : "held",
    async ({ storage }) =>
      (await storage.list({ tenant: "", prefix: "", after: "", limit: 10, tier: undefined })).entries[0],
  ];
  for (const ask of asks) {
    const { time, a, b } = servers();
    await through(a, "k", "old");
    await getText(b.storage, "k");
    expect(await a.storage.delete(key("k"))).toBe(true);
    expect(await ask(b)).toBeDefined();
    time.advance(MAX_AGE_MS + 1);
    expect(await ask(b)).toBeUndefined();
  }
});

test("a listing shows what another server has stored since", async () => {
  const { time, a, b } = servers();
  await through(a, "k", "old");
  await getText(b.storage, "k");
  await through(a, "k", "newer");
  time.advance(MAX_AGE_MS + 1);
  const { entries } = await b.storage.list({ tenant: "", prefix: "", after: "", limit: 10, tier: undefined });
  expect(entries.map(({ meta }) => meta.sizeBytes)).toEqual([5]);
});

test("preconditions are decided by what another server has stored", async () => {
  const { time, a, b } = servers();
  for (const name of ["put", "delete"]) {
    await through(a, name, "old");
    await getText(b.storage, name);
    await a.storage.delete(key(name));
  }
  time.advance(MAX_AGE_MS + 1);
  const precondition = { noneMatch: "*" } as const;
  expect(await put(b.storage, "put", { body: "new", precondition })).toMatchObject({ replaced: false });
  await expect(b.storage.delete(key("delete"), { match: "*" })).rejects.toThrow("precondition");
});

test("what is dirty is not verified, because its store is the later change", async () => {
  const { time, a, b } = servers();
  await through(a, "k", "old");
  b.tier(0).trouble = "no connection";
  await put(b.storage, "k", { body: "dirty" });
  await turns();
  b.tier(0).trouble = undefined;
  time.advance(MAX_AGE_MS + 1);
  const before = lookups(b);
  expect([await getText(b.storage, "k"), lookups(b) - before]).toEqual(["dirty", 0]);
  await turns();
  a.evictAll();
  expect(await getText(a.storage, "k")).toBe("dirty");
});

test("L1 goes on while the tier cannot be asked, and catches up afterwards", async () => {
  const { time, a, b } = servers();
  await through(a, "k", "old");
  await getText(b.storage, "k");
  await through(a, "k", "new");
  time.advance(MAX_AGE_MS + 1);
  const before = lookups(b);
  b.tier(0).trouble = "no connection";
  expect([await getText(b.storage, "k"), lookups(b) - before]).toEqual(["old", 0]);
  b.tier(0).trouble = undefined;
  b.tier(0).gate = () => {
    throw new Error("reset");
  };
  expect(await getText(b.storage, "k")).toBe("old");
  const gate = Promise.withResolvers<void>();
  b.tier(0).gate = () => gate.promise;
  const reading = getText(b.storage, "k");
  await turns();
  time.advance(PATIENCE_MS);
  expect(await reading).toBe("old");
  // Nobody else waits.
  expect(await getText(b.storage, "k")).toBe("old");
  gate.resolve();
  b.tier(0).gate = () => {};
  await turns();
  time.advance(PAUSE_MS);
  expect(await getText(b.storage, "k")).toBe("new");
});

test("copies in a tier of this server alone are verified with L1's, and before they are read", async () => {
  const { time, a, b } = servers({ tiers: 2 });
  for (const name of ["in L1", "not in L1"]) {
    await through(b, name, "old");
    await through(a, name, "new");
  }
  b.evictAll();
  await through(b, "in L1", "old");
  await through(a, "in L1", "new");
  time.advance(MAX_AGE_MS + 1);
  for (const name of ["in L1", "not in L1"]) {
    expect(await getText(b.storage, name)).toBe("new");
    expect(b.tier(0).objects.has(`\0${name}`)).toBe(false);
  }
});

test("a prefetch loads what another server has stored, in place of older copies in L1 and in a tier of its own", async () => {
  const { time, a, b } = servers({ tiers: 2 });
  for (const name of ["in both", "in the tier"]) {
    await through(a, name, "old");
    await getText(b.storage, name);
    await through(b, name, "old");
    await through(a, name, "new");
  }
  b.l1.delete([key("in the tier")], "deleted");
  time.advance(MAX_AGE_MS + 1);
  const owner = { high: 1, low: 2 };
  const id = b.storage.prefetch([key("in both"), key("in the tier")], {
    mode: "full",
    owner,
    deadlineMs: 1000,
    leaseMs: undefined,
  });
  await turns(50);
  expect(await b.storage.prefetchState({ id, owner }, 0)).toMatchObject({
    state: "done",
    outcomes: ["loaded", "loaded"],
  });
  expect([await getText(b.storage, "in both"), await getText(b.storage, "in the tier")]).toEqual(["new", "new"]);
});

test("a copy is compared with each of several buckets", async () => {
  const time = new ManualTime();
  const stores = [new Map<string, Stored>(), new Map<string, Stored>()];
  const made = storageBench({ time, stores, tiers: 2, maxAgesMs: [MAX_AGE_MS, MAX_AGE_MS] });
  await through(made, "k", "old");
  stores[1]?.clear();
  time.advance(MAX_AGE_MS + 1);
  await getText(made.storage, "k");
  expect(made.named("l2.changed_elsewhere").map(({ tier }) => tier)).toEqual(["t2"]);
});

test("a tier in which nothing is stored verifies nothing", async () => {
  const { time, b } = servers({ tiers: 2, storeOff: 1 });
  await through(b, "k", "mine");
  time.advance(MAX_AGE_MS + 1);
  const before = lookups(b, 1);
  expect([await getText(b.storage, "k"), lookups(b, 1) - before]).toEqual(["mine", 0]);
});

test("a worker asks the owner of the tiers to verify, and waits for it no longer than for the tier", async () => {
  const parts = clusterParts();
  const options = { maxAgesMs: [MAX_AGE_MS] };
  const owner = ownerBench(parts, { ...options, workerId: 1 });
  const worker = clusterBench(parts, owner, { ...options, workerId: 2 });
  const other = new MapAdapter("other", { objects: owner.tier(0).objects });
  await through(worker, "k", "old");
  await other.delete(key("k"));
  parts.time.advance(MAX_AGE_MS + 1);
  expect(await getText(worker.storage, "k")).toBe(undefined);
  expect(owner.named("l2.changed_elsewhere").length).toBe(1);
  await through(worker, "j", "old");
  await other.delete(key("j"));
  parts.time.advance(MAX_AGE_MS + 1);
  await owner.die();
  worker.changes.disconnect();
  const reading = getText(worker.storage, "j");
  await turns();
  parts.time.advance(PATIENCE_MS);
  expect(await reading).toBe("old");
});

type Op =
  | { readonly kind: "put"; readonly server: "a" | "b"; readonly large: boolean }
  | { readonly kind: "delete" | "get" | "evict"; readonly server: "a" | "b" }
  | { readonly kind: "pass"; readonly ms: number };

const server = fc.constantFrom("a" as const, "b" as const);
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), server, large: fc.boolean() }),
  fc.record({ kind: fc.constant("delete" as const), server }),
  fc.record({ kind: fc.constant("get" as const), server }),
  fc.record({ kind: fc.constant("get" as const), server }),
  fc.record({ kind: fc.constant("evict" as const), server }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: MAX_AGE_MS }) }),
);

for (const tiers of [1, 2]) {
  test(`no server reads what was overwritten longer ago than the bound, with ${tiers} tier(s)`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 4, maxLength: 40 }), async (ops) => {
        const made = servers({ tiers, l1Bytes: 262_144, admissionLimitBytes: 49_152 });
        const { time } = made;
        const id: ObjectKey = key("k");
        /** The values in the order of their writes, each with the time at which it was overwritten. */
        const values: { readonly value: string | undefined; untilMs: number }[] = [
          { value: undefined, untilMs: Infinity },
        ];
        const write = (value: string | undefined): void => {
          const last = values.at(-1);
          if (last !== undefined) last.untilMs = time.monotonicMs();
          values.push({ value, untilMs: Infinity });
        };
        for (const [at, each] of ops.entries()) {
          if (each.kind === "pass") time.advance(each.ms);
          else if (each.kind === "evict") made[each.server].evictAll();
          else if (each.kind === "delete") {
            await made[each.server].storage.delete(id);
            write(undefined);
          } else if (each.kind === "put") {
            const value = `v${at}`;
            await through(made[each.server], "k", value.padEnd(each.large ? 40_000 : 10, "."));
            write(value);
          } else {
            const value = (await getText(made[each.server].storage, "k"))?.split(".")[0];
            const sinceMs = time.monotonicMs() - MAX_AGE_MS;
            const allowed = values.filter(({ untilMs }) => untilMs >= sinceMs).map((known) => known.value);
            expect(allowed).toContain(value);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
}
