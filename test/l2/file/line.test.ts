import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import type { Port } from "../../../src/core/threads.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/remote/messages.ts";
import { OwnerLine } from "../../../src/l2/file/remote/remote_store.ts";
import { openChannel, portOf } from "../../../src/runtime/thread.ts";
import { join } from "node:path";
import type { ObjectKey } from "../../../src/core/key.ts";
import { FileAdapter, openOwnFolder } from "../../../src/l2/file.ts";
import type { Change } from "../../../src/l2/file/store_calls.ts";
import { callsOf } from "./folder.ts";
import { holds, inFolder, key, metaOf, newBench, pattern, sourceOf } from "../support.ts";
import { LineAdapter, Owner } from "./line.ts";

const settings = { name: "fs", limitBytes: 0, sync: false, recordLimitBytes: 100_000 };

/** A port whose other end is the test: what was posted, and what is to be heard. */
function fakePort() {
  const posted: ToOwner[] = [];
  let hear: (message: FromOwner) => void = () => {};
  const port: Port<ToOwner, FromOwner> = {
    post: (message) => void posted.push(message),
    listen: (onMessage) => void (hear = onMessage),
    close: () => {},
  };
  return { port, posted, hear: (message: FromOwner) => hear(message) };
}

test("OwnerLine sends all calls of one turn in one message, in order", async () => {
  const line = new OwnerLine();
  const { port, posted, hear } = fakePort();
  line.connect(port);
  const store = line.store(0, () => {});
  const answers = Promise.all([store.find(key("a"), false), store.find(key("b"), true), store.usage()]);
  await Promise.resolve();
  expect(posted.map(({ calls }) => calls.map(({ call }) => call.method))).toEqual([["find", "find", "usage"]]);
  const value = undefined;
  hear({ kind: "answers", answers: (posted[0]?.calls ?? []).map(({ id }) => ({ id, value })) });
  expect((await answers).length).toBe(3);
});

test("OwnerLine asks the next owner only for what the last one has not answered, and says that it does so again", async () => {
  const line = new OwnerLine();
  const [first, second] = [fakePort(), fakePort()];
  line.connect(first.port);
  const store = line.store(0, () => {});
  const meta = metaOf(pattern(10));
  const answered = store.find(key("a"), false);
  const changed = store.change({ kind: "record", key: key("b"), meta, payload: pattern(10), durable: true });
  await Promise.resolve();
  const [find, change] = first.posted[0]?.calls ?? [];
  first.hear({ kind: "answers", answers: [{ id: find?.id ?? 0, value: undefined }] });
  await answered;
  line.connect(second.port);
  expect(second.posted.map(({ calls }) => calls.map(({ id }) => id))).toEqual([[change?.id ?? 0]]);
  expect(second.posted[0]?.calls[0]?.call).toMatchObject({ method: "change", change: { again: true } });
  second.hear({ kind: "answers", answers: [{ id: change?.id ?? 0, value: true }] });
  expect(await changed).toBe(true);
});

test("FileStore makes what is asked for again only if its predecessor had not made it", async () => {
  await inFolder(async (path) => {
    const bench = newBench();
    const adapter = new LineAdapter({ ...bench, ...settings, path });
    await adapter.store(key("a"), sourceOf(pattern(10)));
    const meta = metaOf(pattern(20));
    const change = { kind: "record", key: key("a"), meta, payload: pattern(20), durable: true } as const;
    await adapter.owner.keeper.change(change);
    expect(bench.removed).toEqual(["replaced  1 10"]);
    await adapter.owner.keeper.change({ ...change, again: true });
    expect(bench.removed).toEqual(["replaced  1 10"]);
    expect((await adapter.usage()).objects).toBe(1);
    await adapter.close();
  });
});

test("a line goes on with the next owner when the last one died", async () => {
  await inFolder(async (path) => {
    const first = new LineAdapter({ ...newBench(), ...settings, path });
    await first.store(key("a"), sourceOf(pattern(10)));
    first.owner.die();
    const storing = first.store(key("b"), sourceOf(pattern(20)));
    const second = new Owner({ ...newBench(), ...settings, path });
    first.line.connect(portOf<ToOwner, FromOwner>(second.attach()));
    await storing;
    expect(await holds(first, key("a"), pattern(10))).toBe(true);
    expect(await holds(first, key("b"), pattern(20))).toBe(true);
    first.line.close();
    await second.close();
  });
});

test("StoreServer gives back what a line held when the line is gone", async () => {
  await inFolder(async (path) => {
    const owner = new Owner({ ...newBench(), ...settings, limitBytes: 100_000, path });
    const line = new OwnerLine();
    line.connect(portOf<ToOwner, FromOwner>(owner.attach()));
    expect(await line.store(0, () => {}).hold(90_000, 0)).toBe(90_000);
    await expect(owner.keeper.hold(90_000, 0)).rejects.toThrow("make room");
    owner.detach();
    expect(await owner.keeper.hold(90_000, 0)).toBe(90_000);
    line.close();
    await owner.close();
  });
});

/** Files of a folder that this process has open. */
function openFiles(path: string): readonly string[] {
  return readdirSync("/proc/self/fd").map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  }).filter((file) => file.startsWith(path) && file.includes(".segment"));
}

if (process.platform === "linux") {
  test("FileAdapter closes a segment that it has read when the owner drops it", async () => {
    await inFolder(async (path) => {
      const adapter = new LineAdapter({ ...newBench(), ...settings, path });
      await adapter.store(key("a"), sourceOf(pattern(10)));
      expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
      expect(openFiles(path).length).toBe(2);
      // A clear of everything drops all segments.
      await adapter.clear();
      while (openFiles(path).length > 0) await new Promise((resolve) => setImmediate(resolve));
      await adapter.close();
    });
  });
}

test("FileAdapter opens a segment again before it takes an object for damaged: its owner may have died without a word", async () => {
  await inFolder(async (path) => {
    const bench = newBench();
    const first = openOwnFolder({ ...bench, ...settings, path });
    let owner = first;
    const store = {
      ...callsOf(first.store),
      find: (at: ObjectKey, use: boolean) => owner.store.find(at, use),
      change: (change: Change) => owner.store.change(change),
    };
    const reader = new FileAdapter({ ...settings, path, store });
    await first.adapter.store(key("a"), sourceOf(pattern(10)));
    expect(await holds(reader, key("a"), pattern(10))).toBe(true);
    // The segment goes, and the next one gets its number, but the reader is not told.
    await first.adapter.clear();
    await first.adapter.close();
    owner = openOwnFolder({ ...bench, ...settings, path });
    await owner.adapter.store(key("a"), sourceOf(pattern(20, 2)));
    expect(readdirSync(join(path, "segments"))).toEqual(["000000000001.segment"]);
    expect(await holds(reader, key("a"), pattern(20, 2))).toBe(true);
    expect(bench.left.filter((line) => line.startsWith("corrupt"))).toEqual([]);
    await reader.close();
    await owner.adapter.close();
  });
});

test("a channel is closed with its line", async () => {
  const { port1, port2 } = openChannel();
  const closed = new Promise<void>((resolve) => portOf(port2).listen(() => {}, resolve));
  const line = new OwnerLine();
  line.connect(portOf<ToOwner, FromOwner>(port1));
  line.close();
  await closed;
});
