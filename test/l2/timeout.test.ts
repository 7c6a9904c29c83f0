import { expect, test } from "bun:test";
import type { EventMap } from "../../src/events/catalogue.ts";
import type { L2Adapter, StoreSource } from "../../src/l2/adapter.ts";
import { FileAdapter } from "../../src/l2/file/adapter.ts";
import type { Change } from "../../src/l2/file/folder_calls.ts";
import { MemoryAdapter } from "../../src/l2/memory.ts";
import { TimeoutAdapter } from "../../src/l2/timeout.ts";
import { Gate } from "../support/gate.ts";
import { MapAdapter, type Step } from "../support/map_adapter.ts";
import { adapterConformance } from "./conformance.ts";
import { callsOf, withFolder } from "./file/folder.ts";
import { codeOf, holds, key, pattern, readAll, sourceOf } from "./support.ts";

const nobodyLooks = { timeoutMs: 1000, every: () => () => {} };

adapterConformance({
  name: "timeout wrapper over memory",
  persistent: false,
  open: (_folder, options) => {
    const memory = new MemoryAdapter({ ...options, name: "memory" });
    return Promise.resolve(new TimeoutAdapter(memory, { ...nobodyLooks, publish: options.publish }));
  },
});

/** A wrapped adapter whose time passes when the test says so: five looks are a time-out. */
function patient(inner: L2Adapter) {
  const raised: EventMap["timeout.raised"][] = [];
  let look: (() => void) | undefined;
  let timers = 0;
  const adapter = new TimeoutAdapter(inner, {
    timeoutMs: 1000,
    publish: (_name, fields) => raised.push(Object.assign({ exceptionType: "l2_usage" as const }, fields)),
    every(ms, callback) {
      expect(ms).toBe(250);
      timers += 1;
      look = callback;
      return () => look = undefined;
    },
  });
  const looks = (count: number): void => {
    for (let each = 0; each < count; each += 1) look?.();
  };
  return { adapter, raised, looks, isLooking: () => look !== undefined, timers: () => timers };
}

/** A wrapped Map tier that has one object and hangs at the steps that `hold` names. */
async function hanging(...hold: readonly Step[]) {
  const inner = new MapAdapter("t", { chunkBytes: 100 });
  await inner.store(key("a"), sourceOf(pattern(250)));
  const gate = new Gate();
  inner.gate = (step) => hold.includes(step) ? gate.wait() : undefined;
  return { inner, gate, ...patient(inner) };
}

const request = { ...key("a"), requestId: "r" };
const CALLS = [
  ["lookup", "l2_lookup", (adapter: L2Adapter) => adapter.lookup(request)],
  ["lookup", "l2_lookup", (adapter: L2Adapter) => adapter.has([request, key("b")])],
  ["load", "l2_load", (adapter: L2Adapter) => adapter.load(request)],
  ["store", "l2_store", (adapter: L2Adapter) => adapter.store(request, sourceOf(pattern(10)))],
  ["delete", "l2_delete", (adapter: L2Adapter) => adapter.delete(request)],
  ["list", "l2_list", (adapter: L2Adapter) => adapter.list({ tenant: "", prefix: "", after: "", limit: 1 })],
  ["usage", "l2_usage", (adapter: L2Adapter) => adapter.usage()],
] as const;

for (const [step, exceptionType, call] of CALLS) {
  test(`TimeoutAdapter fails ${step} and says so once when it has not answered in time, not earlier`, async () => {
    const { adapter, gate, raised, looks } = await hanging(step);
    const answer = codeOf(call(adapter));
    await gate.reached;
    looks(4);
    expect(raised).toEqual([]);
    looks(5);
    expect(await answer).toBe("tier_failed");
    const named = step === "list" || step === "usage" ? {} : { requestId: "r" };
    expect(raised).toEqual([{ exceptionType, ...named }]);
    gate.open();
  });
}

test("TimeoutAdapter waits for a lookup of many keys as long as the tier makes progress", async () => {
  const { adapter, inner, raised, looks } = await hanging();
  const gates = [0, 1, 2].map(() => new Gate());
  const names = ["none", "a", "b"];
  inner.gate = (_step, name) => gates[names.indexOf(name)]?.wait();
  const answer = adapter.has(names.map((name) => key(name)));
  for (const gate of gates) {
    await gate.reached;
    looks(4);
    gate.open();
  }
  expect([await answer, raised]).toEqual([[false, true, false], []]);
});

test("TimeoutAdapter frees a load that is opened after it timed out", async () => {
  const { inner, adapter, looks } = await hanging();
  const gate = new Gate();
  const freed = Promise.withResolvers<void>();
  inner.load = async () => {
    await gate.wait();
    const chunks = { next: () => Promise.reject(new Error("not wanted")), return: () => (freed.resolve(), done) };
    return { meta: sourceOf(pattern(1)).meta(), chunks: { [Symbol.asyncIterator]: () => chunks } };
  };
  const done = Promise.resolve({ done: true as const, value: undefined });
  const answer = codeOf(adapter.load(key("a")));
  looks(5);
  expect(await answer).toBe("tier_failed");
  gate.open();
  await freed.promise;
});

test("TimeoutAdapter breaks a load off when its next chunk does not come, however long its reader takes", async () => {
  const { adapter, gate, raised, looks } = await hanging();
  const load = await adapter.load(request);
  const chunks = load?.chunks[Symbol.asyncIterator]();
  expect((await chunks?.next())?.done).toBe(false);
  looks(10);
  expect((await chunks?.next())?.done).toBe(false);
  expect(raised).toEqual([]);
  const stuck = await hanging("chunk");
  const broken = codeOf(readAll(await stuck.adapter.load(request)));
  await stuck.gate.reached;
  stuck.looks(5);
  expect([await broken, stuck.raised]).toEqual(["tier_failed", [{ exceptionType: "l2_load", requestId: "r" }]]);
  gate.open();
  stuck.gate.open();
});

test("TimeoutAdapter gives no store up while its source is waited for, or as long as chunks are taken", async () => {
  const { adapter, raised, looks } = await hanging();
  const slow = new Gate();
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    for (let at = 0; at < 1000; at += 100) {
      if (at === 500) await slow.wait();
      looks(4);
      yield pattern(1000).subarray(at, at + 100);
    }
  }
  const storing = adapter.store(key("b"), { ...sourceOf(pattern(1000)), chunks: chunks() });
  await slow.reached;
  looks(20);
  slow.open();
  expect((await storing).sizeBytes).toBe(1000);
  expect(raised).toEqual([]);
});

for (const step of ["store", "chunk", "meta"] as const) {
  test(`TimeoutAdapter never lets a late store become visible when it timed out at: ${step}`, async () => {
    const { inner, adapter, gate, looks } = await hanging(step);
    let wasOver = (): void => {};
    const over = new Promise<void>((resolve) => wasOver = resolve);
    const store = inner.store.bind(inner);
    inner.store = (at, source) => store(at, source).finally(wasOver);
    const storing = codeOf(adapter.store(key("a"), sourceOf(pattern(300, 2))));
    await gate.reached;
    looks(5);
    expect(await storing).toBe("tier_failed");
    gate.open();
    await over;
    expect(await holds(inner, key("a"), pattern(250))).toBe(true);
  });
}

test("TimeoutAdapter passes on that the source's owner wants no store any more", async () => {
  const { adapter, inner } = await hanging();
  const unwanted = new Error("not seated");
  const source: StoreSource = {
    ...sourceOf(pattern(10)),
    assertWanted() {
      throw unwanted;
    },
  };
  await expect(adapter.store(key("a"), source)).rejects.toBe(unwanted);
  expect(await holds(inner, key("a"), pattern(250))).toBe(true);
});

test("TimeoutAdapter has one timer for all calls, and none once a look finds nothing to wait for", async () => {
  const { adapter, gate, looks, isLooking, timers } = await hanging("lookup");
  expect(isLooking()).toBe(false);
  const answers = [adapter.lookup(key("a")), adapter.lookup(key("b")), readAll(await adapter.load(key("a")))];
  gate.open();
  await Promise.all(answers);
  expect([timers(), isLooking()]).toEqual([1, true]);
  looks(1);
  expect(isLooking()).toBe(false);
  await adapter.lookup(key("a"));
  expect([timers(), isLooking()]).toEqual([2, true]);
});

test("TimeoutAdapter keeps the newer object when an older store hung before its owner made it and goes on after it", async () => {
  for (const recordLimitBytes of [0, 1000]) {
    await withFolder(async (folder) => {
      const gate = new Gate();
      await folder.open({ recordLimitBytes });
      const { store } = folder.opened;
      let turn: Promise<void> | undefined;
      const hanging = {
        ...callsOf(store),
        // The owner hangs, and then makes what it was asked for, in order.
        async change(change: Change): Promise<boolean> {
          turn ??= gate.wait();
          await turn;
          return await store.change(change);
        },
      };
      const inner = new FileAdapter({
        name: "fs",
        path: folder.path,
        limitBytes: 0,
        sync: false,
        folder: hanging,
        recordLimitBytes,
      });
      const { adapter, looks } = patient(inner);
      const late = codeOf(adapter.store(key("a"), sourceOf(pattern(100, 1))));
      await gate.reached;
      looks(5);
      expect(await late).toBe("tier_failed");
      const newer = inner.store(key("a"), sourceOf(pattern(100, 2)));
      gate.open();
      await newer;
      // Waits for the late store, too.
      await adapter.close();
      const again = await folder.open({ recordLimitBytes });
      expect(await holds(again, key("a"), pattern(100, 2))).toBe(true);
      expect([folder.opened.recovery.adopted, folder.files().length]).toEqual([0, recordLimitBytes === 0 ? 1 : 0]);
      await again.delete(key("a"));
      expect(folder.files()).toEqual([]);
    });
  }
});
