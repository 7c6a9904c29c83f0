import { expect, test } from "bun:test";
import type { MissReason } from "../../../src/core/events.ts";
import type { Explanation } from "../../../src/storage/storage.ts";
import type { FaultAdapter } from "../../l2/fault.ts";
import { type ExplainBench, explainBench, explainParts } from "../../support/explain_bench.ts";
import { getText, key, pattern, put } from "../../support/storage_bench.ts";

/** "tier result reason" of every level that was tried. */
const steps = ({ tried }: Explanation) =>
  tried.map(({ tier, result, reason = "" }) => `${tier} ${result} ${reason}`.trim());

const explained = async ({ storage }: ExplainBench, name: string = "a") => {
  const explanation = await storage.explain(key(name));
  const { result, reason = "", tier = "" } = explanation;
  return [`${result} ${reason}${tier}`, ...steps(explanation)];
};

const store = (bench: ExplainBench, name: string = "a", sizeBytes: number = 100) =>
  put(bench.storage, name, { body: pattern(sizeBytes), durability: "l2" });

/** A get says the same as the explanation, as an event and to its listener. */
async function missed(bench: ExplainBench, name: string = "a"): Promise<string | undefined> {
  const told: string[] = [];
  const found = await bench.storage.get(key(name), { missed: (reason) => void told.push(reason), asked() {} });
  expect([found, told.map((reason) => `miss ${reason}`)]).toEqual([undefined, bench.lookups.slice(-1)]);
  return told[0];
}

test("StorageManager.explain tells of the hit, and asks no further, when L1 or a tier has the object", async () => {
  const bench = explainBench({ tierBytes: [0, 0] });
  await store(bench);
  expect(await explained(bench)).toEqual(["hit l1", "l1 hit"]);
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  expect(await explained(bench)).toEqual(["hit t1", "l1 miss cleared", "t1 hit"]);
  await bench.storage.clear({ tenant: undefined, tier: "t1" });
  expect(await explained(bench)).toEqual(["hit t2", "l1 miss cleared", "t1 miss cleared", "t2 hit"]);
});

test("StorageManager.explain tells of the hit when a load runs of an object that its tier has lost meanwhile", async () => {
  const bench = explainBench();
  await store(bench);
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  const gate = Promise.withResolvers<undefined>();
  const [tier] = bench.tiers;
  const load = tier?.load.bind(tier);
  Object.assign(tier ?? {}, {
    async load(...args: Parameters<FaultAdapter["load"]>) {
      const found = await load?.(...args);
      if (found === undefined) return undefined;
      const chunks = (async function* () {
        await gate.promise;
        yield* found.chunks;
      })();
      return { ...found, chunks };
    },
    lookup: () => Promise.resolve(undefined),
  });
  const read = await bench.storage.get(key("a"));
  expect(await explained(bench)).toEqual(["hit t1", "l1 miss cleared", "t1 hit"]);
  gate.resolve(undefined);
  read?.release("unread");
  await bench.storage.drain();
});

test("StorageManager.explain counts no lookup, takes no lease and loads nothing", async () => {
  const bench = explainBench();
  await store(bench);
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  await bench.storage.explain(key("a"));
  await bench.storage.explain(key("b"));
  expect([bench.lookups, bench.l1.peek(key("a"))]).toEqual([[], undefined]);
  expect(bench.l1.usage()).toMatchObject({ objects: 0, readLeases: 0 });
});

test("StorageManager says never_stored when the key was not there since the server started", async () => {
  const bench = explainBench();
  expect(await explained(bench)).toEqual(["miss never_stored", "l1 miss never_stored", "t1 miss never_stored"]);
  expect(await missed(bench)).toBe("never_stored");
  expect(await bench.storage.head(key("a"))).toBe(undefined);
  expect(bench.lookups).toEqual(["miss never_stored", "miss never_stored"]);
});

test("StorageManager says deleted, and when, when the object was deleted", async () => {
  const bench = explainBench();
  await store(bench);
  bench.time.advance(1000);
  const atMs = bench.time.nowMs();
  await bench.storage.delete(key("a"));
  bench.time.advance(1000);
  expect(await explained(bench)).toEqual(["miss deleted", "l1 miss deleted", "t1 miss deleted"]);
  expect((await bench.storage.explain(key("a"))).tried.map(({ removedMs }) => removedMs)).toEqual([atMs, atMs]);
  expect(await missed(bench)).toBe("deleted");
});

test("StorageManager says cleared when everything was cleared", async () => {
  const bench = explainBench();
  await store(bench);
  await bench.storage.clear({ tenant: "", tier: undefined });
  expect(await explained(bench)).toEqual(["miss cleared", "l1 miss cleared", "t1 miss cleared"]);
});

test("StorageManager says expired when the time of the object is up, in L1 and in the tier", async () => {
  for (const tier of [undefined, "l1"]) {
    const bench = explainBench();
    await put(bench.storage, "a", { body: "x", durability: "l2", ttlSeconds: 1 });
    if (tier !== undefined) await bench.storage.clear({ tenant: undefined, tier });
    bench.time.advance(1000);
    const inL1 = tier === undefined ? "expired" : "cleared";
    expect(await explained(bench)).toEqual(["miss expired", `l1 miss ${inL1}`, "t1 miss expired"]);
    expect(await missed(bench)).toBe("expired");
  }
});

test("StorageManager says watermark, pressure or quota when L1 alone had the object and let go of it for that", async () => {
  const bench = explainBench({ tierBytes: [] });
  await put(bench.storage, "a", { body: pattern(6000) });
  await put(bench.storage, "b", { body: pattern(6000) });
  bench.l1.delete([key("b")], "quota");
  for (let n = 0; n < 5; n++) await put(bench.storage, `filler ${n}`, { body: pattern(6000) });
  bench.l1.tick();
  expect(await explained(bench)).toEqual(["miss watermark", "l1 miss watermark"]);
  expect(await explained(bench, "b")).toEqual(["miss quota", "l1 miss quota"]);
  await put(bench.storage, "a", { body: pattern(6000) });
  for (let n = 0; n < 12; n++) await put(bench.storage, `filler ${n}`, { body: pattern(6000) });
  expect(await explained(bench)).toEqual(["miss pressure", "l1 miss pressure"]);
  expect(await missed(bench)).toBe("pressure");
});

test("StorageManager says how the last copy was lost when L1 and a tier lost theirs at different times", async () => {
  const bench = explainBench({ tierBytes: [250] });
  await store(bench);
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  bench.time.advance(1);
  await store(bench, "b");
  await store(bench, "c");
  expect(await explained(bench)).toEqual(["miss capacity", "l1 miss cleared", "t1 miss capacity"]);
  // The other way round: L1 is the last to have it.
  bench.time.advance(1);
  await store(bench, "d");
  expect(await explained(bench, "b")).toEqual(["hit l1", "l1 hit"]);
  bench.time.advance(1);
  bench.l1.delete([key("b")], "pressure");
  expect(await explained(bench, "b")).toEqual(["miss pressure", "l1 miss pressure", "t1 miss capacity"]);
});

test("StorageManager says write_failed when a tier had given its object up for a write that failed in another", async () => {
  const bench = explainBench({ tierBytes: [0, 10] });
  await put(bench.storage, "a", { body: pattern(100), durability: "l1" });
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  bench.time.advance(1);
  await expect(store(bench)).rejects.toThrow("make room");
  expect(await explained(bench)).toEqual([
    "miss write_failed",
    "l1 miss cleared",
    "t1 miss write_failed",
    "t2 miss unknown",
  ]);
});

test("StorageManager.explain shows a tier's error, and what another tier or L1's loss says beside it", async () => {
  const bench = explainBench({ tierBytes: [0, 0] });
  await store(bench);
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  const end = bench.tiers[0]?.inject({ fault: { kind: "fail" }, operations: ["lookup", "load"] });
  expect(await explained(bench)).toEqual(["hit t2", "l1 miss cleared", "t1 error tier_failed", "t2 hit"]);
  await bench.storage.clear({ tenant: undefined, tier: "t2" });
  expect(await explained(bench)).toEqual([
    "error tier_failed",
    "l1 miss cleared",
    "t1 error tier_failed",
    "t2 miss cleared",
  ]);
  expect((await bench.storage.explain(key("a"))).tried[1]?.error).toContain("inject fault");
  await expect(getText(bench.storage, "a")).rejects.toThrow("a tier failed");
  expect(bench.lookups).toEqual(["error tier_failed"]);
  end?.();
  expect(await explained(bench)).toEqual(["hit t1", "l1 miss cleared", "t1 hit"]);
});

test("StorageManager takes a lookup that tiers cannot answer for a miss when all that fail have on_error=miss", async () => {
  const bench = explainBench({ tierBytes: [0, 0], missOnError: [true, false] });
  const [first, second] = bench.tiers;
  const fail = { fault: { kind: "fail" }, operations: ["lookup", "load"] } as const;
  const end = first?.inject(fail);
  expect(await missed(bench)).toBe("tier_failed");
  expect(await bench.storage.head(key("a"))).toBeUndefined();
  expect(bench.lookups).toEqual(["miss tier_failed", "miss tier_failed"]);
  expect((await explained(bench))[0]).toBe("miss tier_failed");
  end?.();
  const endSecond = second?.inject(fail);
  await expect(getText(bench.storage, "a")).rejects.toThrow("a tier failed");
  expect(bench.lookups.at(-1)).toBe("error tier_failed");
  expect((await explained(bench))[0]).toBe("error tier_failed");
  first?.inject(fail);
  await expect(getText(bench.storage, "a")).rejects.toThrow("a tier failed");
  endSecond?.();
  expect(await missed(bench)).toBe("tier_failed");
});

test("StorageManager.explain skips a tier when its copy is older than what expired in L1 before it was stored", async () => {
  const bench = explainBench();
  await store(bench);
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  bench.tiers[0]?.inject({ fault: { kind: "delay", gate }, operations: ["store"] });
  // Both stores that may run at a time are held up, in front of this one.
  for (const name of ["first", "second"]) await put(bench.storage, name, { body: "x" });
  await put(bench.storage, "a", { body: "new", ttlSeconds: 1 });
  bench.time.advance(1000);
  expect(await explained(bench)).toEqual(["miss expired", "l1 miss expired", "t1 skipped outdated"]);
  expect(await missed(bench)).toBe("expired");
  open();
  await bench.storage.drain();
});

test("StorageManager.explain skips a tier when its copy is outdated and could not be deleted", async () => {
  const bench = explainBench({ tierBytes: [150] });
  await store(bench);
  bench.tiers[0]?.inject({ fault: { kind: "fail" }, operations: ["delete"] });
  // Too large for the tier: its older copy has to go, and cannot.
  await put(bench.storage, "a", { body: pattern(200) });
  await bench.storage.clear({ tenant: "nobody", tier: "l1" });
  bench.time.advance(1);
  bench.l1.delete([key("a")], "pressure");
  expect(await explained(bench)).toEqual(["miss pressure", "l1 miss pressure", "t1 skipped outdated"]);
  expect(await missed(bench)).toBe("pressure");
});

test("StorageManager says unknown, and not never_stored, when the loss was forgotten", async () => {
  const bench = explainBench({ tierBytes: [], parts: explainParts(8) });
  for (let n = 0; n < 9; n++) {
    bench.time.advance(1);
    await put(bench.storage, `${n}`, { body: "x" });
    await bench.storage.delete(key(`${n}`));
  }
  expect(await explained(bench, "0")).toEqual(["miss unknown", "l1 miss unknown"]);
  expect(await missed(bench, "0")).toBe("unknown");
  expect(await explained(bench, "1")).toEqual(["miss deleted", "l1 miss deleted"]);
  expect(await explained(bench, "9")).toEqual(["miss never_stored", "l1 miss never_stored"]);
  expect((await bench.storage.status()).lossesForgotten).toBe(1);
});

test("StorageManager explains what another manager over the same memory removed", async () => {
  const parts = explainParts();
  const [a, b] = [1, 2].map((workerId) => explainBench({ tierBytes: [], parts, workerId }));
  if (a === undefined || b === undefined) throw new Error("no benches");
  parts.time.after = () => new Promise((resolve) => setImmediate(resolve));
  await put(a.storage, "a", { body: "x" });
  await a.storage.delete(key("a"));
  await put(b.storage, "b", { body: "x" });
  b.l1.delete([key("b")], "pressure");
  await put(a.storage, "c", { body: "x", ttlSeconds: 1 });
  parts.time.advance(1000);
  a.l1.tick();
  expect([await missed(b, "a"), await missed(a, "b"), await missed(b, "c"), await missed(b, "d")]).toEqual([
    "deleted",
    "pressure",
    "expired",
    "never_stored",
  ]);
});

test("StorageManager gives the reason that a shared tier itself gives, before what this server has seen", async () => {
  let said: MissReason | undefined;
  const bench = explainBench({ missReason: () => said });
  const reasons = async () => [await missed(bench), ...await explained(bench)];
  expect(await reasons()).toEqual(["unknown", "miss unknown", "l1 miss never_stored", "t1 miss unknown"]);
  said = "never_stored";
  expect(await reasons()).toEqual([said, "miss never_stored", "l1 miss never_stored", "t1 miss never_stored"]);
  said = "capacity";
  expect(await reasons()).toEqual([said, "miss capacity", "l1 miss never_stored", "t1 miss capacity"]);
  await store(bench);
  await bench.storage.delete(key("a"));
  expect(await reasons()).toEqual([said, "miss capacity", "l1 miss deleted", "t1 miss capacity"]);
  for (said of ["unknown", "never_stored", undefined] as const) {
    expect((await reasons()).slice(0, 3)).toEqual(["deleted", "miss deleted", "l1 miss deleted"]);
  }
});
