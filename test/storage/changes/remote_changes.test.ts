import { expect, test } from "bun:test";
import type { ObjectMeta } from "../../../src/core/object.ts";
import type { Port } from "../../../src/core/port.ts";
import { noPublish } from "../../../src/events/producer.ts";
import type { FromOwner, ToOwner } from "../../../src/storage/changes/messages.ts";
import { RemoteChanges } from "../../../src/storage/changes/remote_changes.ts";
import type { StagedWrite, StreamedWrite } from "../../../src/storage/changes/tier_changes.ts";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { key, ManualTime, storageBench } from "../../support/storage_bench.ts";

const object = { sizeBytes: 1, crc32: 0, contentType: "", sha256: "", ttlSeconds: 0 };
const staged: StagedWrite = { key: key("a"), object, precondition: undefined, lease: { slot: 0, generation: 0 } };
const streamed: StreamedWrite = { key: key("a"), object, precondition: undefined, needsAll: true };
const meta: ObjectMeta = {
  sizeBytes: 1,
  crc32: 0,
  version: 7,
  createdMs: 1,
  expiresMs: 0,
  contentType: "",
  sha256: "",
};

/** A port whose other end is the test: what was said in each message, and what is to be heard. */
function fakePort() {
  const posted: (readonly ToOwner[])[] = [];
  const ends = { hear: (_said: readonly FromOwner[]) => {}, close: () => {} };
  const port: Port<readonly ToOwner[], readonly FromOwner[]> = {
    post: (said) => void posted.push(said),
    listen: (hear, close) => void Object.assign(ends, { hear, close }),
    close: () => {},
  };
  return { port, posted, hear: (...said: readonly FromOwner[]) => ends.hear(said), close: () => ends.close() };
}

/** Two workers that have reached the owner of the tiers, and what its thread sees of the shared words. */
async function crew({ timeoutMs = 0 }: { readonly timeoutMs?: number } = {}) {
  const { l1 } = storageBench();
  const time = new ManualTime();
  const memory = allocateSharedKeys({ hashSeed: 3 });
  const every = (ms: number, run: () => void) => time.every(ms, run);
  const workers = [1, 2].map((holder) => {
    const shared = new SharedKeys(memory, holder);
    const changes = new RemoteChanges({ l1, shared, clock: time, publish: noPublish, timeoutMs, every });
    const line = fakePort();
    changes.connect(line.port);
    return { changes, ...line };
  });
  const [a, b] = workers;
  if (a === undefined || b === undefined) throw new Error("no workers");
  await turn();
  // A line that is new wakes the owner, which may have looked before it was there.
  const wake = { kind: "wake", followed: undefined } as const;
  for (const { posted } of workers) expect(posted.splice(0)).toEqual([[wake]]);
  return { a, b, time, storer: new SharedKeys(memory, 3) };
}

/** How all of them fail. */
async function failuresOf(changes: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(changes);
  return settled.map((each) => each.status === "rejected" ? String(each.reason.message) : "not at all");
}

const turn = () => Promise.resolve();

test("RemoteChanges says all of one turn in one message, in order", async () => {
  const { a } = await crew();
  const [put, deleted] = [a.changes.put(staged), a.changes.delete(key("b"), { match: "*" })];
  a.changes.wake();
  await turn();
  expect(a.posted.map((said) => said.map((each) => each.kind === "asked" ? each.asked.kind : each.kind))).toEqual([
    ["put", "delete", "wake"],
  ]);
  a.hear(
    { kind: "answered", id: 2, value: true },
    { kind: "answered", id: 1, value: { meta, replaced: true } },
  );
  expect([await put, await deleted]).toEqual([{ meta, replaced: true }, true]);
});

test("RemoteChanges.wake tells the owner once until it looks, whoever asks", async () => {
  const { a, b, storer } = await crew();
  for (let round = 1; round <= 3; round += 1) {
    for (const { changes } of [a, b, a, b]) changes.wake();
    await turn();
    expect(a.posted.length + b.posted.length).toBe(round);
    storer.heardWake();
  }
  expect(a.posted.flat()).toEqual(Array.from({ length: 3 }, () => ({ kind: "wake", followed: undefined })));
});

test("RemoteChanges.wake tells of every write whose request is followed", async () => {
  const { a } = await crew();
  a.changes.wake();
  a.changes.wake({ version: 7, requestId: "r" });
  a.changes.wake();
  await turn();
  expect(a.posted.flat().map((each) => each.kind === "wake" && each.followed?.requestId)).toEqual([undefined, "r"]);
});

test("RemoteChanges fails what was sent when the owner ends, and asks the next one for what was not", async () => {
  const { a } = await crew();
  const sent = failuresOf([
    a.changes.put(staged),
    a.changes.delete(key("a"), undefined),
    a.changes.clear(undefined, undefined),
  ]);
  await turn();
  a.close();
  const why = "in tiers: the storage thread has ended";
  expect(await sent).toEqual([`put ${why}`, `delete ${why}`, `clear ${why}`]);
  const unsent = a.changes.delete(key("b"), undefined);
  await turn();
  const next = fakePort();
  a.changes.connect(next.port);
  expect(next.posted[0]).toMatchObject([{ kind: "asked", id: 4, asked: { kind: "delete", key: key("b") } }]);
  next.hear({ kind: "answered", id: 4, value: false });
  expect([await unsent, a.posted.length]).toEqual([false, 1]);
});

test("RemoteChanges.stream finishes when it is its turn, and says what became of it", async () => {
  const { a } = await crew();
  const finished = Promise.withResolvers<readonly []>();
  const told: unknown[] = [];
  let assertGranted = () => {};
  const stream = a.changes.stream(streamed, (given, assert) => {
    told.push(given);
    assertGranted = assert;
    return finished.promise;
  });
  await turn();
  a.hear({ kind: "granted", id: 1, meta });
  expect(told).toEqual([meta]);
  assertGranted();
  finished.resolve([]);
  await finished.promise;
  await turn();
  await turn();
  expect(a.posted.at(-1)).toEqual([{ kind: "finished", id: 1, tiers: [] }]);
  a.hear({ kind: "answered", id: 1, value: { meta, replaced: false } });
  expect((await stream).meta.version).toBe(7);
  expect(assertGranted).toThrow("has ended");
});

test("RemoteChanges gives up what is not answered in time, and makes nothing of a turn that comes too late", async () => {
  const { a, time } = await crew({ timeoutMs: 1000 });
  let hasFinished = false;
  const stream = a.changes.stream(streamed, () => {
    hasFinished = true;
    return Promise.resolve([]);
  });
  const failures = failuresOf([stream, a.changes.delete(key("a"), undefined)]);
  const clearing = a.changes.clear(undefined, undefined);
  const asked = time.monotonicMs();
  await turn();
  time.advance(1250);
  const why = "wait for storage thread: no answer";
  expect(await failures).toEqual([why, why]);
  // The owner, too, knows until when somebody waits.
  expect(a.posted[0]?.[1]).toMatchObject({ asked: { kind: "delete", untilMs: asked + 1000 } });
  a.hear({ kind: "granted", id: 1, meta });
  await turn();
  expect([hasFinished, a.posted.at(-1)]).toEqual([false, [{ kind: "finished", id: 1, tiers: undefined }]]);
  // A clear takes as long as it takes.
  a.hear({ kind: "answered", id: 3, value: { fs: 3 } });
  expect(await clearing).toEqual({ fs: 3 });
});
