import { expect, test } from "bun:test";
import { RemoteStoring, type ToStorer } from "../../src/storage/remote_storing.ts";
import { allocateSharedKeys } from "../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../src/storage/shared/shared_keys.ts";
import { ManualTime, storageBench } from "../support/storage_bench.ts";

/** Two workers and the one who stores. */
function crew() {
  const { l1 } = storageBench();
  const clock = new ManualTime();
  const memory = allocateSharedKeys({ places: 3, hashSeed: 3 });
  const [a, b, storer] = [0, 1, 2].map((place) => new SharedKeys(memory, { place, holder: place + 1 }));
  if (a === undefined || b === undefined || storer === undefined) throw new Error("no keys");
  const told: ToStorer[] = [];
  const workers = [a, b].map((shared) => {
    const storing = new RemoteStoring({ l1, shared, clock });
    storing.connect((message) => told.push(message));
    return storing;
  });
  return { l1, clock, storer, told, workers };
}

test("RemoteStoring.wake tells the thread that stores once until it looks, whoever asks", () => {
  const { storer, told, workers } = crew();
  for (let round = 1; round <= 3; round += 1) {
    for (const worker of [...workers, ...workers]) worker.wake();
    expect(told.length).toBe(round);
    storer.heardWake();
  }
  expect(told.every(({ followed }) => followed === undefined)).toBe(true);
});

test("RemoteStoring.wake tells of every write whose request is followed", () => {
  const { told, workers: [worker] } = crew();
  worker?.wake();
  worker?.wake({ version: 7, requestId: "r" });
  worker?.wake();
  expect(told.map(({ followed }) => followed?.requestId)).toEqual([undefined, "r"]);
});

test("RemoteStoring.settle waits for what was unsaved at the call, and not for ever", async () => {
  const { l1, clock, told, workers: [worker] } = crew();
  await worker?.settle();
  const [staged] = l1.reserveWrite([{ key: { tenant: "", key: "a" }, sizeBytes: 1, contentType: "", sha256: "" }], "t");
  if (typeof staged !== "object") throw new Error("not staged");
  const commit = { lease: staged.lease, sizeBytes: 1, crc32: 0, version: 1, createdMs: 0, expiresMs: 0 };
  l1.admitUnsaved(commit, { maxEntries: 9, maxBytes: 9 });
  let isSettled = false;
  const settle = async (): Promise<void> => {
    isSettled = false;
    await worker?.settle();
    isSettled = true;
  };
  const patient = settle();
  await new Promise((resolve) => setImmediate(resolve));
  expect([isSettled, told.length]).toEqual([false, 1]);
  for (const { resident } of l1.takeUnsaved(1)) l1.finishRead([resident.lease]);
  await patient;
  l1.reserveWrite([{ key: { tenant: "", key: "b" }, sizeBytes: 1, contentType: "", sha256: "" }], "t").forEach(
    (each) => {
      if (typeof each === "object") l1.admitUnsaved({ ...commit, lease: each.lease }, { maxEntries: 9, maxBytes: 9 });
    },
  );
  const hopeless = settle();
  clock.advance(1000);
  await hopeless;
  expect(l1.unsavedUsage().entries).toBe(1);
});
