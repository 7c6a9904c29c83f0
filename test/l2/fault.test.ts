import { expect, test } from "bun:test";
import { MemoryAdapter } from "../../src/l2/memory.ts";
import { adapterConformance } from "./conformance.ts";
import { FaultAdapter } from "./fault.ts";
import { codeOf, holds, key, newBench, pattern, readAll, sourceOf } from "./support.ts";

adapterConformance({
  name: "fault wrapper without rules over memory",
  persistent: false,
  open: (_folder, options) => Promise.resolve(new FaultAdapter(new MemoryAdapter({ ...options, name: "memory" }))),
});

const LIST = { tenant: "", prefix: "", after: "", limit: 1 } as const;

async function withObject(options: { readonly seed?: number } = {}): Promise<FaultAdapter> {
  const adapter = new FaultAdapter(new MemoryAdapter({ ...newBench(), name: "memory", limitBytes: 0 }), options);
  await adapter.store(key("a"), sourceOf(pattern(2000)));
  return adapter;
}

for (
  const [operation, call] of [
    ["lookup", (adapter: FaultAdapter) => adapter.lookup(key("a"))],
    ["load", (adapter: FaultAdapter) => adapter.load(key("a"))],
    ["store", (adapter: FaultAdapter) => adapter.store(key("a"), sourceOf(pattern(1)))],
    ["delete", (adapter: FaultAdapter) => adapter.delete(key("a"))],
    ["clear", (adapter: FaultAdapter) => adapter.clear()],
    ["list", (adapter: FaultAdapter) => adapter.list(LIST)],
    ["usage", (adapter: FaultAdapter) => adapter.usage()],
  ] as const
) {
  test(`FaultAdapter fails ${operation} until the rule is taken away when a rule says so`, async () => {
    const adapter = await withObject();
    const stop = adapter.inject({ fault: { kind: "fail" }, operations: [operation] });
    expect(await codeOf(call(adapter))).toBe("tier_failed");
    expect(await codeOf(call(adapter))).toBe("tier_failed");
    expect(stop()).toBe(2);
    await call(adapter);
  });
}

test("FaultAdapter hits only the calls its rule describes when there are conditions", async () => {
  const adapter = await withObject();
  const error = new Error("mine");
  adapter.inject({ fault: { kind: "fail", error }, when: (call) => call.key?.key === "b", times: 1 });
  await adapter.lookup(key("a"));
  await expect(adapter.lookup(key("b"))).rejects.toBe(error);
  expect(await adapter.lookup(key("b"))).toBe(undefined);
});

test("FaultAdapter hits the same calls at the given rate when the seed is the same", async () => {
  const run = async (seed: number): Promise<string> => {
    const adapter = await withObject({ seed });
    adapter.inject({ fault: { kind: "fail" }, rate: 0.3, operations: ["lookup"] });
    let hits = "";
    for (let n = 0; n < 200; n += 1) hits += await adapter.lookup(key("a")).then(() => ".", () => "x");
    return hits;
  };
  const first = await run(7);
  expect(await run(7)).toBe(first);
  expect(await run(8)).not.toBe(first);
  const rate = first.replaceAll(".", "").length / 200;
  expect(rate > 0.2 && rate < 0.4).toBe(true);
});

test("FaultAdapter holds a call back until the gate opens when it is to be delayed", async () => {
  const adapter = await withObject();
  const gate = Promise.withResolvers<void>();
  adapter.inject({ fault: { kind: "delay", gate: gate.promise }, operations: ["delete"] });
  const deleting = adapter.delete(key("a"));
  expect(await holds(adapter, key("a"), pattern(2000))).toBe(true);
  gate.resolve();
  expect(await deleting).toBe(true);
});

test("FaultAdapter hands out the first bytes and then fails when a load is to break", async () => {
  const adapter = await withObject();
  adapter.inject({ fault: { kind: "break", afterBytes: 700 }, operations: ["load"] });
  const load = await adapter.load(key("a"));
  let got = 0;
  const reading = (async () => {
    for await (const chunk of load?.chunks ?? []) got += chunk.length;
  })();
  expect(await codeOf(reading)).toBe("tier_failed");
  expect(got).toBe(700);
});

test("FaultAdapter leaves the tier as it was when a store is to break", async () => {
  const adapter = await withObject();
  adapter.inject({ fault: { kind: "break", afterBytes: 500 }, operations: ["store"] });
  expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(900, 2))))).toBe("tier_failed");
  expect(await holds(adapter, key("a"), pattern(2000))).toBe(true);
});

test("FaultAdapter flips one bit and leaves the object alone when a load is to be corrupt", async () => {
  const adapter = await withObject();
  const stop = adapter.inject({ fault: { kind: "corrupt" }, operations: ["load"] });
  const bytes = await readAll(await adapter.load(key("a")));
  const wrong = pattern(2000);
  wrong[0] = (wrong[0] ?? 0) ^ 1;
  expect(Buffer.compare(bytes ?? pattern(0), wrong)).toBe(0);
  stop();
  expect(await holds(adapter, key("a"), pattern(2000))).toBe(true);
});
