import { expect, test } from "bun:test";
import process from "node:process";
import fc from "fast-check";
import { VitrineError } from "../../src/core/errors.ts";
import { noPublish } from "../../src/events/producer.ts";
import type { L2Adapter } from "../../src/l2/adapter.ts";
import { TimeoutAdapter } from "../../src/l2/timeout.ts";
import { type Call, isLinearizable } from "../support/linearizable.ts";
import type { Step } from "../support/map_adapter.ts";
import {
  type BenchOptions,
  clusterBench,
  clusterParts,
  getText,
  key,
  ownerBench,
  put,
  type StorageBench,
  storageBench,
} from "../support/storage_bench.ts";

const NAME = "k";

interface Op {
  readonly kind: "put" | "get" | "head" | "delete" | "clear" | "evict";
  /** The rest is for put: above the admission limit; If-None-Match: *. */
  readonly large: boolean;
  readonly create: boolean;
  readonly durability: "l1" | "l2";
  readonly pieceBytes: number;
}

const ops: fc.Arbitrary<Op[]> = fc.array(
  fc.record<Op>({
    // Evictions are what sends readers to the tiers: without many of them L1 hides every mistake there.
    kind: fc.constantFrom("put", "put", "get", "get", "get", "head", "delete", "clear", "evict", "evict", "evict"),
    large: fc.constantFrom(false, false, false, true),
    create: fc.boolean(),
    durability: fc.constantFrom("l1", "l2"),
    // A small body comes whole, or in pieces.
    pieceBytes: fc.constantFrom(1000, 60),
  }),
  { minLength: 2, maxLength: 6 },
);
const GET: Op = { kind: "get", large: false, create: false, durability: "l1", pieceBytes: 1000 };
const PUT: Op = { ...GET, kind: "put", durability: "l2" };

/**
 * Runs one call and notes it. `lossy`: tiers fail, so an object may be lost (never come back), and an answer may be an
 * error.
 */
async function run(
  bench: StorageBench,
  op: Op,
  history: { readonly calls: Call[]; readonly tick: () => number; readonly lossy: boolean },
): Promise<void> {
  const { storage } = bench;
  const { calls, tick, lossy } = history;
  const start = tick();
  const note = (label: string, apply: Call["apply"]): void => void calls.push({ start, end: tick(), label, apply });
  const absent = undefined;
  try {
    if (op.kind === "evict") bench.evictAll();
    else if (op.kind === "get") {
      const text = await getText(storage, NAME);
      // The value carries its length in padding; its name is what comes before.
      const got = text?.split(".")[0];
      note(`get ${got}`, (value) => value === got ? [value] : lossy && got === absent ? [absent] : []);
    } else if (op.kind === "head") {
      const found = await storage.head(key(NAME));
      const got = found?.meta.contentType;
      note(`head ${got}`, (value) => value === got ? [value] : lossy && got === absent ? [absent] : []);
    } else if (op.kind === "delete") {
      const existed = await storage.delete(key(NAME));
      note(`delete ${existed}`, (value) => lossy || (value !== absent) === existed ? [absent] : []);
    } else if (op.kind === "clear") {
      await storage.clear({ tenant: undefined, tier: undefined });
      note("clear", () => [absent]);
    } else {
      const name = `v${start}`;
      const precondition = op.create ? { noneMatch: "*" } as const : undefined;
      const body = name.padEnd(op.large ? 700 : 100, ".");
      const { durability, create, pieceBytes } = op;
      try {
        const { replaced } = await put(storage, NAME, {
          body,
          pieceBytes,
          durability,
          precondition,
          contentType: name,
        });
        note(`put ${name} ${op.large} ${durability} replaced ${replaced}`, (value) => {
          if (create && replaced) return [];
          return lossy || (value !== absent) === replaced ? [name] : [];
        });
      } catch (error) {
        if (!(error instanceof VitrineError && error.code === "precondition_failed")) throw error;
        note("put refused", (value) => value === absent ? [] : [value]);
      }
    }
  } catch (error) {
    if (!lossy || !(error instanceof VitrineError)) throw error;
    // A failed PUT leaves what was there or loses it; a failed DELETE or clear may have gone through.
    note(`${op.kind} failed: ${error.code}`, (value) => [value, absent]);
  }
}

/** Which steps of the tiers fail: those of the named kinds, by a pattern that repeats. */
interface Faults {
  readonly steps: readonly Step[];
  readonly pattern: readonly boolean[];
}

interface CheckOptions extends BenchOptions {
  readonly faults?: Faults;
  /** Calls of tiers time out at random while the tiers go on with what they were asked (default false). */
  readonly hangs?: boolean;
  /** Whether the key is not there at the start (default false). */
  readonly isNew?: boolean;
  /** Storage managers over one L1 and the same tiers, each with clients of its own (default 1). */
  readonly managers?: number;
}

/** The benches, and who makes the changes of the tiers: the one bench itself, or an owner that all of them ask. */
function makeBenches(
  options: BenchOptions & { readonly managers: number },
): { readonly benches: readonly [StorageBench, ...StorageBench[]]; readonly owner: Pick<StorageBench, "tier"> } {
  const { managers, ...benchOptions } = options;
  if (managers === 1) {
    const bench = storageBench(benchOptions);
    return { benches: [bench], owner: bench };
  }
  const parts = clusterParts(benchOptions);
  const owner = ownerBench(parts, { ...benchOptions, workerId: 1 });
  const at = (index: number) => clusterBench(parts, owner, { ...benchOptions, workerId: index + 2 });
  return { benches: [at(0), ...Array.from({ length: managers - 1 }, (_, index) => at(index + 1))], owner };
}

async function check(
  scheduler: fc.Scheduler,
  clients: readonly (readonly Op[])[],
  { faults, hangs = false, isNew = false, managers = 1, ...benchOptions }: CheckOptions,
): Promise<void> {
  let failing = faults !== undefined || hangs;
  const every = (_ms: number, look: () => void): () => void => {
    const timer = { isOn: true };
    const goOn = async (): Promise<void> => {
      for (; timer.isOn; await scheduler.schedule(Promise.resolve(), "look")) if (failing) look();
    };
    void goOn();
    return () => timer.isOn = false;
  };
  const wrap = (adapter: L2Adapter): L2Adapter =>
    hangs ? new TimeoutAdapter(adapter, { timeoutMs: 4, publish: noPublish, every }) : adapter;
  const deliver = (): Promise<unknown> => scheduler.schedule(Promise.resolve(), "message");
  const { benches, owner } = makeBenches({
    l1Bytes: 8192,
    admissionLimitBytes: 512,
    ...benchOptions,
    wrap,
    managers,
    deliver,
  });
  const [bench] = benches;
  const calls: Call[] = [];
  let now = 0;
  const history = { calls, tick: () => now++, lossy: failing };
  if (!isNew) await scheduler.waitFor(run(bench, PUT, history));
  if (benchOptions.storeOff !== undefined) {
    // As if an earlier server, or another one, had stored it there.
    for (const [id, stored] of bench.tier(1 - benchOptions.storeOff).objects) {
      bench.tier(benchOptions.storeOff).objects.set(id, stored);
    }
    bench.tier(1 - benchOptions.storeOff).objects.clear();
    bench.evictAll();
  }
  let step = 0;
  for (const each of new Set([...benches, owner])) {
    for (let index = 0; index < (benchOptions.tiers ?? 1); index += 1) {
      each.tier(index).gate = async (name) => {
        await scheduler.schedule(Promise.resolve(), `${index} ${name}`);
        if (!failing || faults?.steps.includes(name) !== true) return;
        if (faults.pattern[step++ % faults.pattern.length] === true) {
          throw new VitrineError("tier_failed", "made to fail");
        }
      };
    }
  }
  bench.time.after = () => scheduler.schedule(Promise.resolve(), "backoff");
  const client = async (script: readonly Op[], index: number): Promise<void> => {
    for (const op of script) {
      await scheduler.schedule(Promise.resolve(), op.kind);
      await run(benches[index % managers] ?? bench, op, history);
    }
  };
  await scheduler.waitFor(Promise.all(clients.map(client)));
  failing = false;
  const stored = (async (): Promise<void> => {
    for (const { storage } of benches) {
      for (let open = true; open; open = (await storage.status()).storeQueue.entries > 0) {
        await scheduler.schedule(Promise.resolve(), "settle");
      }
    }
    for (const each of benches) {
      await run(each, GET, history);
      each.evictAll();
      await run(each, GET, history);
    }
  })();
  await scheduler.waitFor(stored);
  const told = calls.map(({ start, end, label }) => `${start}-${end} ${label}`).join("\n");
  expect(isLinearizable(calls) ? "" : told).toBe("");
  expect(bench.l1.usage().readLeases).toBe(0);
  expect(bench.l1.usage().writeLeases).toBe(0);
}

const clients = fc.array(ops, { minLength: 2, maxLength: 3 });

test("StorageManager answers as one register per key when calls interleave", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), clients, fc.boolean(), async (scheduler, scripts, ownTiers) => {
      await check(scheduler, scripts, { tiers: 1, ownTiers });
    }),
    { numRuns: 400 },
  );
});

test("StorageManager answers as one register per key when there are two tiers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), clients, fc.boolean(), async (scheduler, scripts, ownTiers) => {
      await check(scheduler, scripts, { tiers: 2, ownTiers });
    }),
    { numRuns: 300 },
  );
});

// "commit" too: a store may time out when its object is visible already.
const faults = fc.record<Faults>({
  steps: fc.subarray<Step>(["lookup", "load", "chunk", "store", "meta", "commit", "delete", "clear"], { minLength: 1 }),
  pattern: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
});

test("StorageManager never brings an outdated object back when tiers fail", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), clients, faults, fc.boolean(), async (scheduler, scripts, fault, ownTiers) => {
      await check(scheduler, scripts, { tiers: 2, faults: fault, ownTiers });
    }),
    { numRuns: 400 },
  );
});

for (const [tiers, managers] of [[1, 1], [2, 1], [2, 2]] as const) {
  test(
    `${managers} StorageManager(s) never bring an outdated object back when calls of ${tiers} tiers time out and go on`,
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.scheduler(), clients, fc.boolean(), async (scheduler, scripts, ownTiers) => {
          await check(scheduler, scripts, { tiers, managers, hangs: true, ownTiers });
        }),
        { numRuns: Number(process.env["STORAGE_RUNS"] ?? 300) },
      );
    },
  );
}

const tierKinds = fc.record({ tiers: fc.constantFrom(1, 2), ownTiers: fc.boolean(), isNew: fc.boolean() });

for (const managers of [2, 3]) {
  const scripts = fc.array(ops, { minLength: managers, maxLength: 4 });

  test(`${managers} StorageManagers answer as one register per key when they share L1 and the tiers`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), scripts, tierKinds, async (scheduler, clients, kind) => {
        await check(scheduler, clients, { ...kind, managers });
      }),
      { numRuns: Number(process.env["STORAGE_RUNS"] ?? 200) },
    );
  });

  test(`${managers} StorageManagers never bring an outdated object back when tiers fail`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), scripts, faults, fc.boolean(), async (scheduler, clients, fault, ownTiers) => {
        await check(scheduler, clients, { tiers: 2, managers, faults: fault, ownTiers });
      }),
      { numRuns: Number(process.env["STORAGE_RUNS"] ?? 200) },
    );
  });
}

// One tier has objects, but is not written.
const storeOffKinds = fc.record({
  storeOff: fc.constantFrom(0, 1),
  ownTiers: fc.boolean(),
  faults: fc.option(faults, { nil: undefined }),
  hangs: fc.boolean(),
});

for (const managers of [1, 2]) {
  test(`${managers} StorageManager(s) never read an outdated object from a tier in which nothing is stored`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), clients, storeOffKinds, async (scheduler, scripts, { faults, ...kind }) => {
        await check(scheduler, scripts, { tiers: 2, managers, ...kind, ...(faults && { faults }) });
      }),
      { numRuns: Number(process.env["STORAGE_RUNS"] ?? 200) },
    );
  });
}
