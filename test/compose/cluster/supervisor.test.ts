import { expect, test } from "bun:test";
import { Board } from "../../../src/compose/cluster/board.ts";
import { type FromWorker, type Seat, Supervisor, type ToWorker } from "../../../src/compose/cluster/supervisor.ts";

interface FakeThread {
  readonly seat: Seat;
  readonly say: (message: FromWorker) => void;
  readonly fail: () => void;
  readonly exit: () => void;
  readonly heard: ToWorker[];
  terminated: boolean;
}

/** A supervisor over threads that do what the test says, on a clock that the test moves. */
function fakeCluster(workers: number) {
  const board = new Board(workers);
  const threads: FakeThread[] = [];
  const gone: string[] = [];
  const readied: number[] = [];
  const later: (() => void)[] = [];
  let nowMs = 0;
  let unsaved = 0;
  let look = () => {};
  const supervisor = new Supervisor({
    workers,
    board,
    timeoutMs: 1000,
    nowMs: () => nowMs,
    every: (_ms, callback) => {
      look = callback;
      return () => look = () => {};
    },
    after: (_ms, callback) => later.push(callback),
    spawn: (seat, { onMessage, onError, onExit }) => {
      const thread: FakeThread = {
        seat,
        say: onMessage,
        fail: () => onError(new Error("thrown on purpose")),
        exit: onExit,
        heard: [],
        terminated: false,
      };
      threads.push(thread);
      return {
        post: (message) => thread.heard.push(message),
        terminate: () => {
          thread.terminated = true;
          return Promise.resolve();
        },
      };
    },
    unsaved: () => unsaved,
    onReady: ({ holder }) => readied.push(holder),
    onGone: ({ place, holder }, cause) => {
      gone.push(`${place}/${holder} ${cause}`);
      return Promise.resolve();
    },
  });
  return {
    board,
    threads,
    gone,
    readied,
    later,
    supervisor,
    /** Moves the clock in steps of 100 ms; the workers in `beating` live on. */
    pass: (ms: number, beating: readonly number[]) => {
      for (let passed = 0; passed < ms; passed += 100) {
        nowMs += 100;
        for (const place of beating) board.beat(place);
        look();
      }
    },
    leave: (objects: number) => {
      unsaved = objects;
    },
    jump: (ms: number) => {
      nowMs += ms;
      look();
    },
    start: async () => {
      const starting = supervisor.start();
      for (const thread of threads) thread.say(ready);
      await starting;
    },
  };
}

const stopped: FromWorker = { kind: "stopped", stored: 0, refused: 0, cutRequests: 0 };
const ready: FromWorker = { kind: "ready", tiers: ["l1"], responses: [] };
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("Supervisor.start resolves when every worker is ready", async () => {
  const { supervisor, threads, start } = fakeCluster(2);
  await start();
  expect(threads.map(({ seat }) => seat)).toEqual([{ place: 0, holder: 2 }, { place: 1, holder: 3 }]);
  expect(supervisor.status().map(({ state }) => state)).toEqual(["ready", "ready"]);
});

test("Supervisor.start ends all workers and throws what one said when it cannot start", async () => {
  const { supervisor, threads, gone } = fakeCluster(2);
  const starting = supervisor.start();
  threads[0]?.say(ready);
  threads[1]?.say({ kind: "failed", message: "open a tier: no such folder" });
  await expect(starting).rejects.toMatchObject({ message: "open a tier: no such folder" });
  expect(threads.map(({ terminated }) => terminated)).toEqual([true, true]);
  for (const thread of threads) thread.exit();
  expect([threads.length, gone.length]).toEqual([2, 2]);
});

test("Supervisor.start throws when a worker ends before it is ready", async () => {
  const { supervisor, threads } = fakeCluster(1);
  const starting = supervisor.start();
  threads[0]?.exit();
  await expect(starting).rejects.toThrow("a worker ended before it was ready");
  expect(threads.length).toBe(1);
});

test("Supervisor fills a place again at once, with a new holder, when its worker exits", async () => {
  const { supervisor, threads, gone, start } = fakeCluster(2);
  await start();
  threads[0]?.exit();
  await settled();
  expect(gone).toEqual(["0/2 ended"]);
  expect(threads[2]?.seat).toEqual({ place: 0, holder: 4 });
  threads[2]?.say(ready);
  expect([threads[1]?.heard, threads[2]?.heard]).toEqual([[{ kind: "adopt", from: 2 }], []]);
  expect([supervisor.restarts, supervisor.status().map(({ state }) => state).join()]).toEqual([1, "ready,ready"]);
});

test("Supervisor tells which worker is ready, and why each of them went, when they come and go", async () => {
  const { supervisor, threads, gone, readied, start, pass } = fakeCluster(1);
  await start();
  const end = async (how: (thread: FakeThread | undefined) => unknown) => {
    const thread = threads.at(-1);
    await how(thread);
    thread?.exit();
    await settled();
  };
  await end((thread) => thread?.fail());
  threads.at(-1)?.say(ready);
  await end(() => supervisor.kill(0));
  threads.at(-1)?.say(ready);
  await end(() => pass(1100, []));
  await end(() => {});
  expect(gone).toEqual(["0/2 threw", "0/3 killed", "0/4 hung", "0/5 not_started"]);
  expect(readied).toEqual([2, 3, 4]);
});

test("Supervisor calls a worker stopped when it was told to stop", async () => {
  const { supervisor, threads, gone, start } = fakeCluster(1);
  await start();
  const stopping = supervisor.stop();
  threads[0]?.say(stopped);
  threads[0]?.exit();
  await stopping;
  expect(gone).toEqual(["0/2 stopped"]);
});

test("Supervisor lets the replacement adopt when no other worker lives", async () => {
  const { threads, start } = fakeCluster(1);
  await start();
  threads[0]?.exit();
  await settled();
  expect(threads[1]?.heard).toEqual([]);
  threads[1]?.say(ready);
  expect(threads[1]?.heard).toEqual([{ kind: "adopt", from: 2 }]);
});

test("Supervisor replaces a worker when its heartbeat stands still for the time-out", async () => {
  const { threads, gone, start, pass } = fakeCluster(2);
  await start();
  pass(900, [0]);
  await settled();
  expect(gone).toEqual([]);
  pass(200, [0]);
  await settled();
  expect(threads[1]?.terminated).toBe(true);
  expect(gone).toEqual(["1/3 hung"]);
  expect(threads[2]?.seat).toEqual({ place: 1, holder: 4 });
  threads[1]?.exit();
  expect([threads.length, gone.length]).toEqual([3, 1]);
});

test("Supervisor blames no worker when it stood still itself", async () => {
  const { gone, start, jump, pass } = fakeCluster(1);
  await start();
  jump(60_000);
  pass(500, []);
  await settled();
  expect(gone).toEqual([]);
});

test("Supervisor waits before it fills a place again when replacements do not get ready", async () => {
  const { threads, later, start } = fakeCluster(1);
  await start();
  threads[0]?.exit();
  await settled();
  threads[1]?.exit();
  await settled();
  expect([threads.length, later.length]).toEqual([2, 1]);
  later[0]?.();
  threads[2]?.say(ready);
  threads[2]?.exit();
  await settled();
  expect([threads.length, later.length]).toEqual([4, 1]);
});

test("Supervisor.stop lets every worker finish and fills no place when they end", async () => {
  const { supervisor, threads, start } = fakeCluster(2);
  await start();
  const stopping = supervisor.stop();
  expect(threads.map(({ heard }) => heard)).toEqual([[{ kind: "stop" }], [{ kind: "stop" }]]);
  threads[0]?.say(stopped);
  threads[0]?.exit();
  threads[1]?.exit();
  await stopping;
  expect(threads.length).toBe(2);
});

test("Board gives the upkeep to one thread in each interval when several ask", () => {
  const board = new Board(2);
  const other = new Board(board.buffer);
  const start = 1_800_000_000_000;
  expect([board.claimTick(start, 200), other.claimTick(start, 200), other.claimTick(start + 199, 200)])
    .toEqual([true, false, false]);
  expect([other.claimTick(start + 200, 200), board.claimTick(start + 200, 200)]).toEqual([true, false]);
});

test("Board keeps the words of each worker apart when several write", () => {
  const board = new Board(3);
  const view = new Board(board.buffer);
  view.beat(1);
  view.beat(1);
  view.setActiveRequests(2, 7);
  board.isReady = true;
  expect([board.heartbeat(0), board.heartbeat(1), board.activeRequests(2), view.isReady]).toEqual([0, 2, 7, true]);
});

test("Supervisor.stop starts a worker for what nobody has stored when one dies while it stops", async () => {
  const { supervisor, threads, leave, start } = fakeCluster(2);
  await start();
  const stopping = supervisor.stop();
  leave(3);
  threads[0]?.exit();
  threads[1]?.say({ kind: "stopped", stored: 4, refused: 0, cutRequests: 0 });
  threads[1]?.exit();
  await settled();
  expect(threads[2]?.seat).toEqual({ place: 0, holder: 4 });
  threads[2]?.say(ready);
  await settled();
  expect(threads[2]?.heard).toEqual([{ kind: "adopt", from: 2 }, { kind: "adopt", from: 3 }, { kind: "stop" }]);
  threads[2]?.say({ kind: "stopped", stored: 3, refused: 0, cutRequests: 0 });
  expect((await stopping).map(({ kind: _kind, ...numbers }) => numbers.stored)).toEqual([4, 3]);
});

test("Supervisor.stop comes to its end when the worker for what nobody has stored does not start", async () => {
  const { supervisor, threads, leave, start } = fakeCluster(1);
  await start();
  leave(1);
  const stopping = supervisor.stop();
  threads[0]?.exit();
  await settled();
  threads[1]?.say({ kind: "failed", message: "open a tier: no such folder" });
  expect(await stopping).toEqual([]);
});

test("Supervisor.stop lets a replacement finish its start when it is told to stop in it", async () => {
  const { supervisor, threads, start } = fakeCluster(1);
  await start();
  threads[0]?.exit();
  await settled();
  const stopping = supervisor.stop();
  threads[1]?.say(ready);
  expect(threads[1]?.heard).toEqual([{ kind: "stop" }]);
  expect(supervisor.status().map(({ state }) => state)).toEqual(["stopping"]);
  threads[1]?.say(stopped);
  expect((await stopping).length).toBe(1);
});
