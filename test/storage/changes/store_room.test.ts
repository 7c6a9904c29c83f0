import { expect, test } from "bun:test";
import type { DirtyUsage } from "../../../src/l1/l1.ts";
import { type ReleaseRoom, StoreRoom } from "../../../src/storage/changes/store_room.ts";

/** A room for 4 objects of 100 bytes together, among which so much is dirty. */
function bench(limits: { readonly maxAgeMs?: number } = {}) {
  const dirty: { -readonly [Field in keyof DirtyUsage]: DirtyUsage[Field] } = {
    entries: 4,
    bytes: 40,
    storing: 0,
    oldestMs: 0,
  };
  const waiters: number[] = [];
  const calls = { makeRoom: 0 };
  const time = { ms: 0 };
  const room = new StoreRoom({
    l1: { dirtyUsage: () => dirty },
    shared: { setRoomWaiters: (count) => void waiters.push(count) },
    limits: { maxEntries: 4, maxBytes: 100, ...limits },
    monotonicMs: () => time.ms,
    makeRoom: () => void calls.makeRoom++,
  });
  const given: string[] = [];
  const releases = new Map<string, ReleaseRoom>();
  const note = async (name: string, waiting: Promise<ReleaseRoom>): Promise<void> => {
    releases.set(name, await waiting);
    given.push(name);
  };
  const wait = (name: string, bytes = 10, again = false): void => {
    const [tenant = ""] = name;
    void note(name, room.wait({ key: { tenant, key: name }, bytes, again }));
  };
  return { room, dirty, given, releases, waiters, time, wait, calls };
}

const turn = () => Promise.resolve();

test("StoreRoom lets tenants take turns, and those of a tenant in the order in which they came", async () => {
  const { room, dirty, given, releases, waiters, wait } = bench();
  for (const name of ["a1", "a2", "a3", "b1", "c1", "b2"]) wait(name);
  await turn();
  expect([given, waiters.at(-1)]).toEqual([[], 6]);
  dirty.entries = 3;
  room.look();
  await turn();
  expect(given).toEqual(["a1"]);
  for (const name of ["a1", "b1", "c1", "a2", "b2", "a3"]) {
    // It used its room, and another object was stored.
    releases.get(name)?.();
    await turn();
  }
  expect([given, waiters.at(-1)]).toEqual([["a1", "b1", "c1", "a2", "b2", "a3"], 0]);
});

test("StoreRoom counts what it has given until that was tried", async () => {
  const { room, dirty, given, releases, wait } = bench();
  for (const name of ["a1", "b1", "c1"]) wait(name);
  dirty.entries = 2;
  room.look();
  await turn();
  expect(given).toEqual(["a1", "b1"]);
  releases.get("a1")?.();
  releases.get("a1")?.();
  await turn();
  expect(given).toEqual(["a1", "b1", "c1"]);
});

test("StoreRoom gives room for bytes, and to one that is larger than all of it when nothing is dirty", async () => {
  const { room, dirty, given, releases, wait } = bench();
  dirty.entries = 1;
  dirty.bytes = 91;
  wait("a1", 10);
  wait("a2", 500);
  await turn();
  expect(given).toEqual([]);
  dirty.bytes = 90;
  room.look();
  await turn();
  expect(given).toEqual(["a1"]);
  dirty.entries = 0;
  dirty.bytes = 0;
  room.look();
  await turn();
  expect(given).toEqual(["a1"]);
  releases.get("a1")?.();
  await turn();
  expect(given).toEqual(["a1", "a2"]);
});

test("StoreRoom puts one first that another write was faster than", async () => {
  const { room, dirty, given, wait } = bench();
  for (const name of ["a1", "b1"]) wait(name);
  wait("b0", 10, true);
  dirty.entries = 3;
  room.look();
  await turn();
  expect(given).toEqual(["b0"]);
});

test("StoreRoom gives none while the oldest dirty object has waited too long", async () => {
  const { room, dirty, given, time, wait } = bench({ maxAgeMs: 1000 });
  dirty.entries = 1;
  time.ms = 1001;
  wait("a1");
  room.look();
  await turn();
  expect(given).toEqual([]);
  dirty.oldestMs = 1;
  room.look();
  await turn();
  expect(given).toEqual(["a1"]);
});

test("StoreRoom asks for room whenever the next write finds none, and only then", async () => {
  const { room, dirty, given, wait, calls } = bench();
  wait("a1");
  expect(calls.makeRoom).toBe(1);
  room.look();
  expect(calls.makeRoom).toBe(2);
  dirty.entries = 3;
  room.look();
  await turn();
  expect([given, calls.makeRoom]).toEqual([["a1"], 2]);
  room.look();
  expect(calls.makeRoom).toBe(2);
});
