import { expect, test } from "bun:test";
import { Board } from "../../../src/compose/cluster/board.ts";
import { TierThread } from "../../../src/compose/cluster/tier_thread.ts";
import type {
  FromTierThread,
  ThreadLines,
  TierThreadName,
  ToTierThread,
} from "../../../src/compose/cluster/messages.ts";
import { unready } from "../../../src/compose/server.ts";
import type { ThreadEvents, ThreadUsage } from "../../../src/runtime/thread.ts";

interface FakeThread extends ThreadEvents<FromTierThread> {
  readonly heard: ToTierThread["kind"][];
}

interface FakeOptions {
  readonly exitsAtOnce: boolean;
  readonly name: TierThreadName;
}

/**
 * A kept thread that does what the test says, on a clock that the test moves. `exitsAtOnce`: the runtime says within
 * `terminate` that it has ended, as Deno does.
 */
function fakeThread({ exitsAtOnce = false, name = "storage" }: Partial<FakeOptions> = {}) {
  const board = new Board(1);
  const threads: FakeThread[] = [];
  const published: unknown[] = [];
  const errors: unknown[] = [];
  const connected: number[] = [];
  const later: (() => void)[] = [];
  let nowMs = 0;
  let look = () => {};
  let usage: ThreadUsage | undefined;
  const thread = new TierThread({
    name,
    board,
    nowMs: () => nowMs,
    threadUsage: () => usage,
    every: (_ms, callback) => {
      look = callback;
      return () => look = () => {};
    },
    after: (_ms, callback) => later.push(callback),
    spawn(_generation, events) {
      const heard: ToTierThread["kind"][] = [];
      threads.push({ ...events, heard });
      return {
        post: (message, ports = []) => {
          heard.push(message.kind);
          for (const port of ports) port.close();
        },
        terminate: () => {
          if (exitsAtOnce) events.onExit();
          return Promise.resolve();
        },
      };
    },
    onGone: () => Promise.resolve(),
    onConnected: (workerId, lines) => {
      connected.push(workerId);
      close(lines);
    },
    publish: (name, fields) => published.push([name, fields]),
    reportError: (error) => errors.push(error),
  });
  return {
    board,
    threads,
    thread,
    published,
    errors,
    connected,
    ready: () => unready({ isServing: true, outage: board.outage, hasTrouble: false }),
    seems: (seen: ThreadUsage) => usage = seen,
    /** Main looks every `stepMs` while so much time passes, and the thread beats or does not. */
    pass: (
      ms: number,
      { beats = false, stepMs = 250 }: { readonly beats?: boolean; readonly stepMs?: number } = {},
    ) => {
      for (let passed = 0; passed < ms; passed += stepMs) {
        nowMs += stepMs;
        if (beats) board.tierThread(name).beat();
        look();
      }
    },
    runLater: async () => {
      // What follows an end waits for one promise.
      await Promise.resolve();
      await Promise.resolve();
      for (const callback of later.splice(0)) callback();
    },
  };
}

async function started() {
  const storage = fakeThread();
  const starting = storage.thread.start();
  expect(storage.thread.status()).toEqual({ state: "starting", stuckSeconds: 0, restarts: 0 });
  storage.threads[0]?.onMessage({ kind: "ready" });
  await starting;
  return storage;
}

test("TierThread is stuck, and says so, from the fifth second in which its loop is blocked until it turns", async () => {
  const { thread, published, pass, ready } = await started();
  pass(60_000, { beats: true });
  expect(published).toEqual([["storage_thread.started", { thread: "storage" }]]);
  pass(4750);
  expect([thread.status().state, ready(), published.length]).toEqual(["ready", undefined, 1]);
  pass(250);
  expect([thread.status(), ready()]).toEqual([
    { state: "stuck", stuckSeconds: 5, restarts: 0 },
    "the storage thread has been blocked for 5 s",
  ]);
  pass(3500);
  expect([thread.status().stuckSeconds, ready()]).toEqual([8.5, "the storage thread has been blocked for 8 s"]);
  pass(250, { beats: true });
  expect([thread.status(), ready()]).toEqual([{ state: "ready", stuckSeconds: 0, restarts: 0 }, undefined]);
  expect(published.slice(1)).toEqual([["storage_thread.stuck", { thread: "storage" }], ["storage_thread.resumed", {
    thread: "storage",
    seconds: 8.5,
  }]]);
});

test("TierThread.start fails with what the thread said when its end is reported within terminate", async () => {
  const { thread, threads } = fakeThread({ exitsAtOnce: true });
  const started = thread.start();
  threads[0]?.onMessage({ kind: "failed", message: "the folder is in use" });
  await expect(started).rejects.toThrow("the folder is in use");
});

test("TierThread is not ended or started again when it is stuck for an hour", async () => {
  const { thread, threads, pass } = await started();
  pass(3_600_000);
  expect([thread.status().stuckSeconds, thread.status().restarts, threads.length, threads[0]?.heard]).toEqual(
    [3600, 0, 1, []],
  );
});

test("TierThread is not stuck when it was given no core, or the process was stopped", async () => {
  const { thread, pass, seems } = await started();
  pass(1, { stepMs: 60_000 });
  seems({ startedAt: 1, isRunnable: true, cpuMs: 10 });
  pass(20_000);
  expect(thread.status().state).toBe("ready");
});

test("TierThread tells why it ended, starts it again and connects the workers when it throws, and does not start", async () => {
  const { thread, threads, published, errors, connected, ready, runLater } = await started();
  close(thread.connect(2, ["folders", "changes"]));
  close(thread.connect(3, ["folders"]));
  thread.disconnect(3);
  threads[0]?.onError(new Error("write segment", { cause: new Error("EIO") }));
  threads[0]?.onExit();
  expect([thread.status(), ready()]).toEqual([
    { state: "gone", stuckSeconds: 0, restarts: 1 },
    "the storage thread has ended and is being started again",
  ]);
  await runLater();
  threads[1]?.onMessage({ kind: "failed", message: "open tier: in use" });
  threads[1]?.onExit();
  await runLater();
  threads[2]?.onMessage({ kind: "ready" });
  expect([thread.status(), ready(), connected]).toEqual([
    { state: "ready", stuckSeconds: 0, restarts: 2 },
    undefined,
    [2],
  ]);
  expect(published).toEqual([
    ["storage_thread.started", { thread: "storage" }],
    ["storage_thread.gone", { thread: "storage", cause: "threw", error: "write segment: EIO" }],
    ["storage_thread.gone", { thread: "storage", cause: "not_started", error: "open tier: in use" }],
    ["storage_thread.started", { thread: "storage" }],
  ]);
  expect(errors.map(String)).toEqual(["Error: write segment", "Error: start storage thread: open tier: in use"]);
});

test("TierThread says that it ended by itself when it gives no reason, and forgets that it was stuck", async () => {
  const { thread, threads, published, pass, runLater } = await started();
  pass(6000);
  threads[0]?.onExit();
  await runLater();
  threads[1]?.onMessage({ kind: "ready" });
  pass(500, { beats: true });
  expect(thread.status().state).toBe("ready");
  expect(published.slice(1)).toEqual([
    ["storage_thread.stuck", { thread: "storage" }],
    ["storage_thread.gone", { thread: "storage", cause: "ended" }],
    ["storage_thread.started", { thread: "storage" }],
  ]);
});

const STOPPED = { kind: "stopped", stored: 3, refused: 1 } as const;

test("TierThread.stop waits for the thread's word", async () => {
  const { thread, threads, pass, published } = await started();
  thread.stopSoon();
  const stopping = thread.stop();
  expect(threads[0]?.heard).toEqual(["stopSoon", "stop"]);
  threads[0]?.onMessage(STOPPED);
  threads[0]?.onExit();
  expect(await stopping).toMatchObject({ stored: 3, refused: 1 });
  // Nobody looks any more.
  pass(20_000);
  expect([threads.length, published.length]).toEqual([1, 1]);
});

test("TierThread.stop lets another thread finish when the thread ends in it, or does not start", async () => {
  const { thread, threads, runLater } = await started();
  const stopping = thread.stop();
  threads[0]?.onExit();
  await runLater();
  threads[1]?.onMessage({ kind: "failed", message: "open tier: in use" });
  threads[1]?.onExit();
  await runLater();
  expect(threads[2]?.heard).toEqual([]);
  threads[2]?.onMessage({ kind: "ready" });
  expect(threads[2]?.heard).toEqual(["stop"]);
  threads[2]?.onMessage(STOPPED);
  threads[2]?.onExit();
  expect(await stopping).toMatchObject({ stored: 3 });
  expect(threads.length).toBe(3);
});

test("TierThread.stop begins when the thread is there again that had ended shortly before", async () => {
  const { thread, threads, runLater } = await started();
  threads[0]?.onExit();
  const stopping = thread.stop();
  await runLater();
  threads[1]?.onMessage({ kind: "ready" });
  threads[1]?.onMessage(STOPPED);
  expect([await stopping, threads[0]?.heard, threads[1]?.heard]).toMatchObject([{ stored: 3 }, [], ["stop"]]);
});

test("TierThread.stop fails when no thread gets to its end, and when a thread says that it could not", async () => {
  const hopeless = await started();
  const stopping = hopeless.thread.stop();
  for (let attempt = 0; attempt < 4; attempt += 1) {
    hopeless.threads[attempt]?.onExit();
    await hopeless.runLater();
    hopeless.threads[attempt + 1]?.onMessage({ kind: "ready" });
  }
  await expect(stopping).rejects.toThrow("it ended before it had finished");
  expect(hopeless.threads.length).toBe(4);
  const failing = await started();
  const failed = failing.thread.stop();
  failing.threads[0]?.onMessage({ kind: "failed", message: "close tier: EIO" });
  failing.threads[0]?.onExit();
  await expect(failed).rejects.toThrow("close tier: EIO");
  await failing.runLater();
  expect(failing.threads.length).toBe(1);
});

test("TierThread reports by name that it is stuck, and opens the lines that a thread asks for", async () => {
  const { thread, threads, published, pass, ready, board } = fakeThread({ name: "file" });
  const starting = thread.start();
  threads[0]?.onMessage({ kind: "ready" });
  await starting;
  const lines = thread.connect(2, ["folders"]);
  expect([Object.keys(lines), threads[0]?.heard]).toEqual([["folders"], ["connect"]]);
  close(lines);
  pass(5000);
  expect([ready(), board.tierThread("storage").outage, board.tierThread("file").outage]).toEqual(
    ["the file thread has been blocked for 5 s", undefined, { seconds: 5 }],
  );
  expect(published).toEqual([["storage_thread.started", { thread: "file" }], ["storage_thread.stuck", {
    thread: "file",
  }]]);
});

function close({ folders, changes }: ThreadLines): void {
  folders?.close();
  changes?.close();
}
