import { expect, test } from "bun:test";
import process from "node:process";
import { isLinearizable } from "../support/linearizable.ts";
import { getBytes, getText, pattern, put } from "../support/storage_bench.ts";
import { Crew } from "../support/storage_thread/crew.ts";
import { callOf } from "../support/storage_thread/history.ts";

const OPERATIONS = Number(process.env["STORAGE_OPERATIONS"] ?? 150);
const SEED = Number(process.env["STORAGE_SEED"] ?? 1);

/** Runs what has to do with a crew, and ends it. */
async function withCrew(
  options: Parameters<typeof Crew.open>[0],
  work: (crew: Crew) => Promise<void>,
): Promise<void> {
  const crew = Crew.open(options);
  try {
    await work(crew);
  } finally {
    await crew.close();
  }
}

/** One tier; or two, the first one's folder in a thread of its own as far as its owner can tell. */
const tiers = [
  { isApart: false, named: "over one folder" },
  { isApart: true, named: "over two tiers, one of them reached over a line" },
];

for (const { isApart, named } of tiers) {
  test(`StorageManagers in real threads answer as one register per key ${named}`, async () => {
    await withCrew({ l1Bytes: 256 * 1024, isApart }, async (crew) => {
      const threads = await Promise.all([2, 3].map((workerId) => crew.join(workerId)));
      const names = ["a", "b"];
      for (const [index, thread] of threads.entries()) {
        const seeds = [0, 1].map((client) => SEED * 1000 + index * 10 + client);
        thread.post({ kind: "work", clients: seeds.map((seed) => ({ names, operations: OPERATIONS, seed })) });
      }
      const histories = await Promise.all(threads.map(async (thread) => (await thread.next("worked")).history));
      const done = histories.flat();
      expect(done.length).toBeGreaterThan(2 * OPERATIONS);
      for (const name of names) {
        const calls = done.filter((each) => each.name === name).map(callOf);
        const told = calls.toSorted((a, b) => a.start - b.start).map(({ start, end, label }) =>
          `${start}-${end} ${label}`
        );
        expect(isLinearizable(calls) ? "" : `seed ${SEED}, key ${name}\n${told.join("\n")}`).toBe("");
      }
      for (const thread of threads) thread.post({ kind: "drain" });
      await Promise.all(threads.map((thread) => thread.next("done")));
      expect(crew.main.l1.usage()).toMatchObject({ readLeases: 0, writeLeases: 0, stagingBytes: 0 });
    });
  });
}

test("StorageManagers in real threads lose no write on condition", async () => {
  await withCrew({ l1Bytes: 256 * 1024 }, async (crew) => {
    await put(crew.main.storage, "number", { body: "0", durability: "l2" });
    const threads = await Promise.all([2, 3].map((workerId) => crew.join(workerId)));
    for (const thread of threads) thread.post({ kind: "count", name: "number", times: 2 * OPERATIONS });
    await Promise.all(threads.map((thread) => thread.next("done")));
    expect(await getText(crew.main.storage, "number")).toBe(String(4 * OPERATIONS));
  });
});

test("StorageManagers in real threads load an object once for all their readers", async () => {
  await withCrew({ l1Bytes: 32 * 1024 * 1024 }, async (crew) => {
    const { storage } = crew.main;
    const body = pattern(12 * 1024 * 1024);
    await put(storage, "big", { body, durability: "l2" });
    await storage.clear({ tenant: undefined, tier: "l1" });
    const threads = await Promise.all([2, 3].map((workerId) => crew.join(workerId)));
    for (const thread of threads) thread.post({ kind: "read", name: "big", readers: 3 });
    const answers = await Promise.all(threads.map((thread) => thread.next("read")));
    expect(answers.flatMap((answer) => answer.sizes)).toEqual(Array.from({ length: 6 }, () => body.length));
    expect(answers.reduce((sum, answer) => sum + answer.loads, 0)).toBe(1);
  });
});

for (const { isApart, named } of tiers) {
  test(
    `StorageManagers go on when a thread dies with a stream, dirty objects and a load, then the owner, ${named}`,
    async () => {
      const dirty = ["u1", "u2", "u3", "u4"];
      await withCrew({ l1Bytes: 8 * 1024 * 1024, stalledStores: [...dirty, "stream"], isApart }, async (crew) => {
        const { storage, l1 } = crew.main;
        const body = pattern(3 * 1024 * 1024);
        await put(storage, "load", { body, durability: "l2" });
        await storage.clear({ tenant: undefined, tier: "l1" });
        const thread = await crew.join(2, { stalledLoads: ["load"] });
        thread.post({ kind: "put", names: dirty, durability: "l1" });
        await thread.next("done");
        thread.post({ kind: "put", names: ["stream"], bytes: 5 * 1024 * 1024, durability: "l2" });
        thread.post({ kind: "read", name: "load", readers: 1 });
        await thread.stalled(1);
        await crew.stalled("stream");
        const reading = getBytes(storage, "load").then((bytes) => bytes?.length, () => "broken off");
        // Main reads meanwhile, which it does in tests alone: fenced first, so that it can take a lock that dies with
        // the thread.
        const fenced = l1.takeOver(2, { stillRuns: true });
        await thread.terminate();
        await fenced;
        await crew.gone(2);
        // The dead thread's load gave its first bytes away: who got them breaks off.
        expect([body.length, "broken off"]).toContain((await reading) ?? "a miss");
        const heir = await crew.join(3);
        heir.post({ kind: "read", name: "load", readers: 1 });
        expect((await heir.next("read")).sizes).toEqual([body.length]);
        expect(l1.dirtyUsage()).toMatchObject({ entries: dirty.length, storing: dirty.length });
        await crew.replaceOwner(4);
        await storage.clear({ tenant: undefined, tier: "l1" });
        expect(await getText(storage, "stream")).toBe(undefined);
        expect(l1.usage()).toMatchObject({ objects: 0, readLeases: 0, writeLeases: 0, stagingBytes: 0 });
        expect(await Promise.all(dirty.map((name) => getText(storage, name)))).toEqual(
          dirty.map((name) => `${name} of 2`),
        );
      });
    },
  );
}
