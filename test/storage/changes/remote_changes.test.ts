import { expect, test } from "bun:test";
import { VitrineError } from "../../../src/core/errors.ts";
import type { ObjectMeta } from "../../../src/core/object.ts";
import { HALF_BYTES, StreamWindow } from "../../../src/core/hand_over.ts";
import { failureOf, type Port } from "../../../src/core/threads.ts";
import { noPublish } from "../../../src/events/producer.ts";
import { RemoteChanges } from "../../../src/storage/changes/remote_changes.ts";
import type { FromTierOwner, StagedWrite, ToTierOwner } from "../../../src/storage/changes/tier_changes.ts";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { key, ManualTime, storageBench } from "../../support/storage_bench.ts";

const object = { sizeBytes: 1, crc32: 0, contentType: "", sha256: "", ttlSeconds: 0 };
const staged: StagedWrite = { key: key("a"), object, precondition: undefined, lease: { slot: 0, generation: 0 } };
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
  const posted: (readonly ToTierOwner[])[] = [];
  const ends = { hear: (_said: readonly FromTierOwner[]) => {}, close: () => {} };
  const port: Port<readonly ToTierOwner[], readonly FromTierOwner[]> = {
    post: (said) => void posted.push(said),
    listen: (hear, close) => void Object.assign(ends, { hear, close }),
    close: () => {},
  };
  return { port, posted, hear: (...said: readonly FromTierOwner[]) => ends.hear(said), close: () => ends.close() };
}

/** Two workers that have reached the owner of the tiers, and what its thread sees of the shared words. */
async function crew({ timeoutMs = 0 }: { readonly timeoutMs?: number } = {}) {
  const { l1 } = storageBench();
  const time = new ManualTime();
  const memory = allocateSharedKeys({ hashSeed: 3 });
  const every = (ms: number, run: () => void) => time.every(ms, run);
  const workers = [1, 2].map((workerId) => {
    const shared = new SharedKeys(memory, workerId);
    const changes = new RemoteChanges({ l1, shared, clock: time, publish: noPublish, timeoutMs, every });
    const line = fakePort();
    changes.connect(line.port);
    return { changes, ...line };
  });
  const [a, b] = workers;
  if (a === undefined || b === undefined) throw new Error("no workers");
  await turn();
  // A line that is new wakes the owner, which may have looked before it was there.
  const wake = { kind: "wake", traced: undefined } as const;
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
  expect(a.posted.flat()).toEqual(Array.from({ length: 3 }, () => ({ kind: "wake", traced: undefined })));
});

test("RemoteChanges.wake tells of every write whose request is followed", async () => {
  const { a } = await crew();
  a.changes.wake();
  a.changes.wake({ version: 7, requestId: "r" });
  a.changes.wake();
  await turn();
  expect(a.posted.flat().map((each) => each.kind === "wake" && each.traced?.requestId)).toEqual([undefined, "r"]);
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

/** What a worker has asked of streams: the kind, and the bytes of chunks as text. */
function streamsOf(posted: readonly (readonly ToTierOwner[])[]): readonly string[] {
  const windows = new Map<number, StreamWindow>();
  return posted.flat().map((each) => {
    if (each.kind !== "asked") return each.kind;
    const { asked } = each;
    if (asked.kind !== "chunk") return asked.kind;
    if (asked.opens !== undefined) windows.set(asked.stream, new StreamWindow(asked.opens.window));
    const bytes = windows.get(asked.stream)?.bytes(asked.start, asked.end) ?? new Uint8Array();
    return bytes.length > 10 ? `${bytes.length} bytes` : new TextDecoder().decode(bytes.slice());
  });
}

const text = (letters: string) => new TextEncoder().encode(letters);
const request = { key: key("a"), sizeBytes: undefined, needsAll: true };
const verified = { key: key("a"), object, precondition: undefined };

test("RemoteChanges.stream passes bytes half a window at a time, and goes on while one half is stored", async () => {
  const { a } = await crew();
  const stream = a.changes.stream(request);
  await stream.write(text("ab"));
  await turn();
  expect(a.posted).toEqual([]);
  await stream.write(new Uint8Array(HALF_BYTES - 2));
  await turn();
  expect(streamsOf(a.posted)).toEqual([`${HALF_BYTES} bytes`]);
  let hasTaken = false;
  const second = stream.write(new Uint8Array(HALF_BYTES)).then(() => hasTaken = true);
  await turn();
  expect([streamsOf(a.posted).length, hasTaken]).toEqual([2, false]);
  a.hear({ kind: "answered", id: 2, value: undefined });
  await second;
  await stream.write(text("c"));
  const finishing = stream.finish(verified);
  await turn();
  a.hear({ kind: "answered", id: 3, value: undefined });
  await turn();
  expect(streamsOf(a.posted)).toEqual([`${HALF_BYTES} bytes`, `${HALF_BYTES} bytes`, "c"]);
  a.hear({ kind: "answered", id: 4, value: undefined });
  while (streamsOf(a.posted).at(-1) !== "finish") await turn();
  a.hear({ kind: "answered", id: 5, value: { meta, replaced: false } });
  expect((await finishing).meta.version).toBe(7);
  stream.abort();
  await turn();
  expect(streamsOf(a.posted).length).toBe(4);
});

test("RemoteChanges.stream fails with what the owner failed with, and says once that it is broken off", async () => {
  const { a } = await crew();
  const stream = a.changes.stream(request);
  const finishing = failuresOf([stream.finish(verified)]);
  await turn();
  expect(streamsOf(a.posted)).toEqual([""]);
  a.hear({ kind: "failed", id: 2, failure: failureOf(new VitrineError("no_room", "store upload: the disk is full")) });
  expect(await finishing).toEqual(["store upload: the disk is full"]);
  stream.abort();
  stream.abort();
  await turn();
  expect(streamsOf(a.posted)).toEqual(["", "aborted"]);
  const asked = a.posted[0]?.[0];
  const opens = asked?.kind === "asked" && asked.asked.kind === "chunk" ? asked.asked.opens : undefined;
  expect(opens && new StreamWindow(opens.window).isAbandoned).toBe(true);
});

test("RemoteChanges.stream does not go on with another owner", async () => {
  const { a } = await crew();
  const [stream, fresh] = [a.changes.stream(request), a.changes.stream(request)];
  const first = stream.write(new Uint8Array(HALF_BYTES));
  await first;
  await turn();
  a.close();
  const failed = failuresOf([stream.write(new Uint8Array(HALF_BYTES))]);
  // What was not sent to the last owner is for the next one.
  await fresh.write(new Uint8Array(HALF_BYTES));
  await turn();
  const next = fakePort();
  a.changes.connect(next.port);
  expect(await failed).toEqual(["chunk in tiers: the storage thread has ended"]);
  await turn();
  expect(next.posted.flat().map((each) => each.kind === "asked" && each.asked.kind === "chunk" && each.asked.stream))
    .toEqual([2, false]);
});

test("RemoteChanges.room asks the next owner, too, and says when the write has tried", async () => {
  const { a } = await crew();
  const waiting = a.changes.room({ key: key("a"), bytes: 5, again: false });
  await turn();
  expect(a.posted.flat()).toMatchObject([{ kind: "asked", id: 1, asked: { kind: "room", request: { bytes: 5 } } }]);
  a.close();
  const next = fakePort();
  a.changes.connect(next.port);
  expect(next.posted.flat()).toMatchObject([{ kind: "asked", id: 1, asked: { kind: "room" } }]);
  next.hear({ kind: "answered", id: 1, value: undefined });
  (await waiting)();
  await turn();
  expect(next.posted.flat().at(-1)).toEqual({ kind: "tried", id: 1 });
});

test("RemoteChanges.room gives up when nobody here was given room in time, and gives back what comes later", async () => {
  const { a, time } = await crew({ timeoutMs: 1000 });
  const request = { key: key("a"), bytes: 5, again: false };
  const [first, second] = [a.changes.room(request), failuresOf([a.changes.room(request)])];
  await turn();
  time.advance(800);
  a.hear({ kind: "answered", id: 1, value: undefined });
  await first;
  time.advance(800);
  a.posted.length = 0;
  // The queue has moved in the meantime, so that it waited on.
  time.advance(900);
  expect(await second).toEqual(["wait for storage thread: no answer"]);
  a.hear({ kind: "answered", id: 2, value: undefined });
  await turn();
  expect(a.posted.flat()).toEqual([{ kind: "tried", id: 2 }]);
});

test("RemoteChanges gives up what is not answered in time", async () => {
  const { a, time } = await crew({ timeoutMs: 1000 });
  const stream = a.changes.stream(request);
  const failures = failuresOf([stream.finish(verified), a.changes.delete(key("a"), undefined)]);
  const clearing = a.changes.clear(undefined, undefined);
  const asked = time.monotonicMs();
  await turn();
  time.advance(1250);
  const why = "wait for storage thread: no answer";
  expect(await failures).toEqual([why, why]);
  // The owner, too, knows until when somebody waits.
  expect(a.posted.flat().find((each) => each.kind === "asked" && each.asked.kind === "delete")).toMatchObject({
    asked: { untilMs: asked + 1000 },
  });
  // A clear takes as long as it takes.
  const clear = a.posted.flat().find((each) => each.kind === "asked" && each.asked.kind === "clear");
  a.hear({ kind: "answered", id: clear?.kind === "asked" ? clear.id : 0, value: { fs: 3 } });
  expect(await clearing).toEqual({ fs: 3 });
});
