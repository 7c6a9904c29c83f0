import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Port } from "../../../src/core/threads.ts";
import { FileReader, openOwnFolder } from "../../../src/l2/file/adapter.ts";
import type { IndexRow } from "../../../src/l2/file/folder_calls.ts";
import { OwnerLine } from "../../../src/l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/line/messages.ts";
import { openChannel, portOf } from "../../../src/runtime/thread.ts";
import { until } from "../../support/until.ts";
import { holds, inFolder, key, newBench, pattern, sourceOf } from "../support.ts";
import { callsOf } from "./folder.ts";
import { LineAdapter, Owner } from "./line.ts";
import type { ObjectKey } from "../../../src/core/object.ts";

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
  const store = line.reader(0, () => {});
  const answers = Promise.all([store.find(key("a"), false), store.find(key("b"), true), store.usage()]);
  await Promise.resolve();
  expect(posted.map(({ calls }) => calls.map(({ call }) => call.method))).toEqual([["find", "find", "usage"]]);
  const value = undefined;
  hear({ kind: "answers", answers: (posted[0]?.calls ?? []).map(({ id }) => ({ id, value })) });
  expect((await answers).length).toBe(3);
});

test("OwnerLine asks the next owner for what the last one has not answered", async () => {
  const line = new OwnerLine();
  const [first, second] = [fakePort(), fakePort()];
  line.connect(first.port);
  const folder = line.reader(0, () => {});
  const answered = folder.find(key("a"), false);
  const listed = folder.list({ tenant: "", prefix: "", limit: 1, after: "" });
  await Promise.resolve();
  const [find, list] = first.posted[0]?.calls ?? [];
  first.hear({ kind: "answers", answers: [{ id: find?.id ?? 0, value: undefined }] });
  await answered;
  line.connect(second.port);
  expect(second.posted.map(({ calls }) => calls)).toMatchObject([[{ id: list?.id, call: { method: "list" } }]]);
  const value = { entries: [], more: false };
  second.hear({ kind: "answers", answers: [{ id: list?.id ?? 0, value }] });
  expect(await listed).toEqual(value);
});

test("a line goes on with the next owner when the last one died", async () => {
  await inFolder(async (path) => {
    const first = new LineAdapter({ ...newBench(), ...settings, path });
    await first.store(key("a"), sourceOf(pattern(10)));
    first.owner.die();
    const reading = holds(first, key("a"), pattern(10));
    const second = new Owner({ ...newBench(), ...settings, path });
    first.line.connect(portOf<ToOwner, FromOwner>(second.attach()));
    expect(await reading).toBe(true);
    first.line.close();
    await second.close();
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
  test("FileReader closes a segment that it has read when the owner drops it", async () => {
    await inFolder(async (path) => {
      const adapter = new LineAdapter({ ...newBench(), ...settings, path });
      await adapter.store(key("a"), sourceOf(pattern(10)));
      expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
      expect(openFiles(path).length).toBe(2);
      // A clear of everything drops all segments.
      await adapter.clear();
      await until(() => openFiles(path).length === 0);
      await adapter.close();
    });
  });
}

test("FileReader opens a segment again before it takes an object for damaged: its owner may have died without a word", async () => {
  await inFolder(async (path) => {
    const bench = newBench();
    const first = openOwnFolder({ ...bench, ...settings, path });
    let owner = first;
    const folder = {
      ...callsOf(first.store),
      find: (at: ObjectKey, use: boolean) => owner.store.find(at, use),
      damaged: (row: IndexRow) => owner.store.damaged(row),
    };
    const reader = new FileReader({ ...settings, path, folder });
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
