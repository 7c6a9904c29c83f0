import { expect, test } from "bun:test";
import { Board } from "../../../src/compose/cluster/board.ts";
import type { FromWorker, ToWorker, WorkerRef } from "../../../src/compose/cluster/messages.ts";
import { Supervisor } from "../../../src/compose/cluster/supervisor.ts";
import type { ThreadUsage } from "../../../src/runtime/thread.ts";

interface FakeThread {
  readonly worker: WorkerRef;
  readonly say: (message: FromWorker) => void;
  readonly fail: () => void;
  readonly exit: () => void;
  readonly heard: ToWorker[];
  terminated: boolean;
}

/** What a test may say about the machine. */
interface Machine {
  /** Default: one more than workers. */
  readonly slots?: number;
  /** Whether `terminate` has ended the thread when it resolves; default true. "never": it does not resolve. */
  readonly stopsThreads?: boolean | "never";
}

/** A supervisor over threads that do what the test says, on a clock that the test moves. */
function fakeCluster(workers: number, { slots = workers + 1, stopsThreads = true }: Machine = {}) {
  const board = new Board(slots);
  const threads: FakeThread[] = [];
  const gone: string[] = [];
  const readied: number[] = [];
  const stuck: number[] = [];
  const later: (() => void)[] = [];
  /** By thread number, which is the workerId's here; those that are not in it have no account. */
  const usages = new Map<number, ThreadUsage | "ended">();
  let nowMs = 0;
  let look = () => {};
  const supervisor = new Supervisor({
    workers,
    slots,
    board,
    timeoutMs: 1000,
    stopsThreads: stopsThreads === true,
    nowMs: () => nowMs,
    threadUsage: (id) => usages.get(id),
    every: (_ms, callback) => {
      look = callback;
      return () => look = () => {};
    },
    after: (_ms, callback) => later.push(callback),
    spawn: (worker, { onMessage, onError, onExit }) => {
      board.setThreadId(worker.slot, worker.workerId);
      const thread: FakeThread = {
        worker,
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
          return stopsThreads === "never" ? new Promise(() => {}) : Promise.resolve();
        },
      };
    },
    onReady: ({ workerId }) => readied.push(workerId),
    onGone: ({ slot, workerId }, { cause, mayRun }) => {
      gone.push(`${slot}/${workerId} ${cause}${mayRun ? " may run" : ""}`);
      return Promise.resolve();
    },
    onStuck: ({ workerId }) => stuck.push(workerId),
  });
  return {
    board,
    threads,
    gone,
    readied,
    stuck,
    later,
    usages,
    supervisor,
    states: () => supervisor.status().map(({ slot, state }) => `${slot} ${state}`).join(),
    /**
     * Moves the clock in steps of 100 ms; the workers in `beating` live on. Of each step, `usage` is told before the
     * look.
     */
    pass: async (ms: number, beating: readonly number[], usage: () => void = () => {}) => {
      for (let passed = 0; passed < ms; passed += 100) {
        nowMs += 100;
        for (const slot of beating) board.beat(slot);
        usage();
        look();
        await settled();
      }
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
const ready: FromWorker = { kind: "ready", tiers: ["l1"] };
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("Supervisor.start resolves when every worker is ready", async () => {
  const { supervisor, threads, start } = fakeCluster(2);
  await start();
  expect(threads.map(({ worker }) => worker)).toEqual([{ slot: 0, workerId: 2 }, { slot: 1, workerId: 3 }]);
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

test("Supervisor fills a slot again at once, with a new workerId, when its worker exits", async () => {
  const { supervisor, threads, gone, start } = fakeCluster(2);
  await start();
  threads[0]?.exit();
  await settled();
  expect(gone).toEqual(["0/2 ended"]);
  expect(threads[2]?.worker).toEqual({ slot: 0, workerId: 4 });
  threads[2]?.say(ready);
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
  await end(() => {});
  threads.at(-1)?.say(ready);
  await pass(1000, []);
  threads.at(-1)?.say(ready);
  await settled();
  await end(() => {});
  expect(gone).toEqual(["0/2 threw", "0/3 killed", "0/4 ended", "0/5 hung", "1/6 ended"]);
  await end(() => {});
  expect(gone.at(-1)).toBe("1/7 not_started");
  expect(readied).toEqual([2, 3, 4, 5, 6]);
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

test("Supervisor replaces a worker whose heartbeat stops for the time-out, as soon as its heir is ready", async () => {
  const { threads, gone, start, pass, states, supervisor } = fakeCluster(2);
  await start();
  await pass(900, [0]);
  expect(states()).toBe("0 ready,1 ready");
  await pass(100, [0]);
  expect(states()).toBe("0 ready,1 ready,2 starting");
  expect([threads[1]?.terminated, gone.length]).toEqual([false, 0]);
  threads[2]?.say(ready);
  await settled();
  expect([threads[1]?.terminated, gone]).toEqual([true, ["1/3 hung"]]);
  threads[1]?.exit();
  await settled();
  expect([states(), gone.length, threads.length, supervisor.restarts]).toEqual(["0 ready,2 ready", 1, 3, 1]);
});

test("Supervisor keeps a worker that beats again before its heir is ready, and lets the heir finish", async () => {
  const { threads, gone, start, pass, states, supervisor } = fakeCluster(1);
  await start();
  await pass(1500, []);
  await pass(100, [0]);
  threads[1]?.say(ready);
  await settled();
  expect([threads[0]?.terminated, threads[0]?.heard, threads[1]?.heard]).toEqual([false, [], [{ kind: "stop" }]]);
  threads[1]?.say(stopped);
  await settled();
  threads[1]?.exit();
  expect([states(), gone, supervisor.restarts]).toEqual(["0 ready", ["1/3 stopped"], 0]);
});

test("Supervisor replaces workers that hang at the same time one after the other, a busy one first", async () => {
  const { threads, gone, start, pass, usages } = fakeCluster(3);
  await start();
  let cpuMs = 0;
  const busy = () => usages.set(4, { startedAt: 1, isRunnable: true, cpuMs: cpuMs += 100 });
  await pass(1300, [], busy);
  expect(threads.length).toBe(4);
  threads[3]?.say(ready);
  await settled();
  await pass(100, [3], busy);
  expect([gone, threads.length]).toEqual([["2/4 hung"], 5]);
  await pass(500, [3]);
  expect([gone.length, threads.length]).toEqual([1, 5]);
  threads[4]?.say(ready);
  await settled();
  await pass(100, [3, 2]);
  threads[5]?.say(ready);
  await settled();
  expect(gone).toEqual(["2/4 hung", "0/2 hung", "1/3 hung"]);
});

test("Supervisor ends a worker that hangs without waiting longer when its heir does not get ready or fails", async () => {
  for (const fails of [false, true]) {
    const { threads, gone, later, start, pass, states } = fakeCluster(1);
    await start();
    await pass(1000, []);
    expect(threads.length).toBe(2);
    if (fails) threads[1]?.exit();
    await pass(fails ? 100 : 900, []);
    expect(gone.includes("0/2 hung")).toBe(fails);
    await pass(200, []);
    expect(gone.includes("0/2 hung")).toBe(true);
    for (const run of later) run();
    threads.at(-1)?.say(ready);
    await settled();
    expect(states()).toMatch(/^[01] ready$/);
  }
});

test("Supervisor replaces a worker in its own slot when there is no other", async () => {
  const { threads, gone, start, pass } = fakeCluster(1, { slots: 1 });
  await start();
  await pass(1000, []);
  expect([gone, threads[1]?.worker]).toEqual([["0/2 hung"], { slot: 0, workerId: 3 }]);
});

test("Supervisor blames no worker that waits for a core, and one that has it and does not beat after the time-out of its own", async () => {
  const { gone, threads, usages, start, pass } = fakeCluster(1);
  await start();
  let cpuMs = 0;
  const gets = (ms: number) => () => usages.set(2, { startedAt: 1, isRunnable: true, cpuMs: cpuMs += ms });
  await pass(15_000, [], gets(0));
  expect(threads.length).toBe(1);
  await pass(100, [0]);
  await pass(8000, [], gets(10));
  expect(threads.length).toBe(1);
  await pass(2100, [], gets(10));
  threads[1]?.say(ready);
  await settled();
  expect(gone).toEqual(["0/2 hung"]);
});

test("Supervisor blames a worker that waits in a call, and one of which there is no account, after the time-out", async () => {
  for (const usage of [{ startedAt: 1, isRunnable: false, cpuMs: 0 }, undefined]) {
    const { threads, usages, start, pass } = fakeCluster(1);
    await start();
    if (usage !== undefined) usages.set(2, usage);
    await pass(1000, []);
    expect(threads.length).toBe(2);
  }
});

test("Supervisor blames no worker when it stood still itself, once or again and again", async () => {
  const { threads, start, jump, pass } = fakeCluster(1);
  await start();
  jump(60_000);
  await pass(300, []);
  for (let late = 0; late < 2; late++) jump(5000);
  expect(threads.length).toBe(1);
  await pass(200, []);
  expect(threads.length).toBe(2);
});

test("Supervisor goes on without a thread that cannot be ended, and says so until it has ended after all", async () => {
  for (const stopsThreads of ["never", false] as const) {
    const { threads, gone, stuck, usages, start, pass, states } = fakeCluster(1, { stopsThreads });
    await start();
    usages.set(2, { startedAt: 1, isRunnable: false, cpuMs: 0 });
    await pass(1000, []);
    threads[1]?.say(ready);
    await settled();
    expect(threads[0]?.terminated).toBe(true);
    await pass(1000, [1]);
    expect([gone, states()]).toEqual([
      ["0/2 hung may run"],
      stopsThreads === "never" ? "1 ready,0 stopping" : "1 ready,0 stuck",
    ]);
    await pass(1000, [1]);
    expect([stuck, states()]).toEqual([[2], "1 ready,0 stuck"]);
    usages.set(2, "ended");
    await pass(100, [1]);
    expect(states()).toBe("1 ready");
  }
});

test("Supervisor fills no slot to which a thread that may run can still write while it has another", async () => {
  const { threads, usages, start, pass } = fakeCluster(1, { stopsThreads: false, slots: 3 });
  await start();
  for (const workerId of [2, 3]) {
    usages.set(workerId, { startedAt: 1, isRunnable: false, cpuMs: 0 });
    await pass(1000, []);
    threads.at(-1)?.say(ready);
    await settled();
  }
  expect(threads.map(({ worker }) => worker.slot)).toEqual([0, 1, 2]);
});

test("Supervisor ends a replacement that does not get ready in time and tries again", async () => {
  const { threads, gone, start, pass, later } = fakeCluster(1);
  await start();
  threads[0]?.exit();
  await settled();
  await pass(5900, []);
  expect(gone).toEqual(["0/2 ended"]);
  await pass(200, []);
  for (const run of later) run();
  expect([gone.at(-1), threads.length]).toEqual(["0/3 hung", 3]);
});

test("Supervisor waits before it fills a slot again when replacements do not get ready", async () => {
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

test("Supervisor.stop lets every worker finish and fills no slot when they end", async () => {
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

test("Supervisor.post reaches the worker of the workerId alone, and nobody when that has gone", async () => {
  const { threads, supervisor, start } = fakeCluster(2);
  await start();
  const [first, second] = threads;
  const message: ToWorker = { kind: "stop" };
  const before = threads.map(({ heard }) => heard.length);
  supervisor.post(first?.worker.workerId ?? 0, message, []);
  supervisor.post(99, message, []);
  expect(threads.map(({ heard }, index) => heard.length - (before[index] ?? 0))).toEqual([1, 0]);
  second?.exit();
  const heard = second?.heard.length;
  supervisor.post(second?.worker.workerId ?? 0, message, []);
  expect(second?.heard.length).toBe(heard);
});
