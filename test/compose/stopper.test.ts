import { expect, test } from "bun:test";
import { Stopper, StopPolicy, type StopResult, type StopSignal } from "../../src/compose/stopper.ts";

const NOTHING = { objects: 0, bytes: 0 };
const done: StopResult = {
  seconds: 1.24,
  stored: 122,
  refused: 0,
  dirty: NOTHING,
  cutRequests: 0,
  failures: [],
  pushes: new Map(),
};

/** A stopper of a server that stops when the test says so, on a clock that the test moves. */
function bench() {
  let nowMs = 0;
  const timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const lines: string[] = [];
  const codes: number[] = [];
  const stopping = Promise.withResolvers<StopResult>();
  const stopper = new Stopper({
    timeoutMs: 30_000,
    nowMs: () => nowMs,
    after: (ms, callback) => void timers.push({ atMs: nowMs + ms, callback }),
    say: (line) => lines.push(line),
    exit: (code) => codes.push(code),
  });
  let stops = 0;
  const server = {
    stop: () => {
      stops++;
      return stopping.promise;
    },
    dirty: () => ({ objects: 3, bytes: 3072 }),
  };
  return {
    stopper,
    server,
    lines,
    codes,
    stops: () => stops,
    finish: async (result: Partial<StopResult>) => {
      stopping.resolve({ ...done, ...result });
      await stopping.promise;
      await Promise.resolve();
    },
    pass: (ms: number) => {
      nowMs += ms;
      for (const { atMs, callback } of timers.splice(0)) {
        if (atMs <= nowMs) callback();
        else timers.push({ atMs, callback });
      }
    },
  };
}

const endings: readonly (readonly [string, Partial<StopResult>, string, number])[] = [
  ["all was done", {}, "122 objects stored", 0],
  ["telemetry arrived", { pushes: new Map([["logs", true]]) }, "122 objects stored, telemetry pushed", 0],
  ["one object was stored", { stored: 1 }, "1 object stored", 0],
  [
    "the last push failed",
    { pushes: new Map([["metrics", false], ["logs", true]]) },
    "122 objects stored, last push of metrics failed",
    3,
  ],
  ["a request was broken off", { cutRequests: 1 }, "122 objects stored, 1 request broken off", 3],
  ["no tier took objects", { refused: 2 }, "122 objects stored, 2 acknowledged objects LOST", 1],
  [
    "objects are still queued",
    { dirty: { objects: 1, bytes: 2048 }, failures: ["not finished within 30 s"] },
    "122 objects stored, 1 acknowledged object LOST (2KiB still queued), not finished within 30 s",
    1,
  ],
];
for (const [when, result, line, code] of endings) {
  test(`Stopper ends with a line and the code ${code} when ${when}`, async () => {
    const { stopper, server, lines, codes, finish } = bench();
    expect(stopper.started(server)).toBe(true);
    stopper.heard("SIGTERM");
    await finish(result);
    expect([lines, codes]).toEqual([[`vitrine: stopped in 1.2 s: ${line}`], [code]]);
  });
}

test("Stopper stops once and waits for the end when signals are repeated", async () => {
  const { stopper, server, stops, codes, finish } = bench();
  stopper.started(server);
  for (const signal of ["SIGINT", "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) stopper.heard(signal);
  expect([stops(), codes]).toEqual([1, []]);
  await finish({});
  expect(codes).toEqual([0]);
});

test("Stopper tells how to force a stop when it lasts, and what is lost when that is done", () => {
  const { stopper, server, lines, codes, pass } = bench();
  stopper.started(server);
  stopper.heard("SIGINT");
  pass(4999);
  expect(lines).toEqual([]);
  pass(1);
  expect(lines).toEqual([
    "vitrine: still stopping, 3 objects to store: Ctrl-C (SIGINT) now ends it at once and loses them",
  ]);
  pass(1000);
  stopper.heard("SIGINT");
  expect(lines.slice(1)).toEqual(["vitrine: ended after 6.0 s of stopping: 3 acknowledged objects LOST (3KiB)"]);
  expect(codes).toEqual([1]);
});

test("Stopper ends with what is lost when a stop never comes to its end", () => {
  const { stopper, server, lines, codes, pass } = bench();
  stopper.started(server);
  stopper.heard("SIGTERM");
  pass(35_000);
  expect(lines.at(-1)).toBe("vitrine: ended after 35.0 s of stopping: 3 acknowledged objects LOST (3KiB)");
  expect(codes).toEqual([1]);
});

test("Stopper says nothing more when the stop has ended before its timers", async () => {
  const { stopper, server, lines, finish, pass } = bench();
  stopper.started(server);
  stopper.heard("SIGTERM");
  await finish({});
  pass(5000);
  expect(lines).toHaveLength(1);
});

test("Stopper waits for the workers' time and five seconds more when a stop does not end", () => {
  const { stopper, server, codes, pass } = bench();
  stopper.started(server);
  stopper.heard("SIGTERM");
  pass(34_999);
  expect(codes).toEqual([]);
});

test("Stopper gives the start up, or stops as soon as it is over, when a signal comes during it", () => {
  const { stopper, server, stops } = bench();
  expect(stopper.startAborted.aborted).toBe(false);
  stopper.heard("SIGTERM");
  expect([stopper.startAborted.aborted, stopper.started(server), stops()]).toEqual([true, false, 1]);
});

/** The policy's decision about each signal, given with its time in milliseconds. */
function meanings(...signals: readonly (readonly [number, StopSignal])[]): readonly string[] {
  let nowMs = 0;
  const policy = new StopPolicy(() => nowMs);
  return signals.map(([atMs, signal]) => {
    nowMs = 1000 + atMs;
    return policy.heard(signal);
  });
}

test("StopPolicy takes copies of Ctrl-C for nothing when a terminal and a task runner send them", () => {
  expect(meanings([0, "SIGINT"], [1, "SIGINT"], [2, "SIGINT"], [300, "SIGINT"])).toEqual([
    "stop",
    "nothing",
    "nothing",
    "nothing",
  ]);
});

test("StopPolicy forces a stop at an interrupt when the stop has lasted for five seconds", () => {
  expect(meanings([0, "SIGINT"], [4999, "SIGINT"])).toEqual(["stop", "nothing"]);
  expect(meanings([0, "SIGINT"], [5000, "SIGINT"])).toEqual(["stop", "force"]);
  expect(meanings([0, "SIGTERM"], [6000, "SIGINT"])).toEqual(["stop", "force"]);
});

test("StopPolicy forces nothing when a copy of an earlier interrupt comes after the five seconds", () => {
  expect(meanings([0, "SIGTERM"], [4999, "SIGINT"], [5001, "SIGINT"])).toEqual(["stop", "nothing", "nothing"]);
});

test("StopPolicy forces a stop when somebody presses Ctrl-C without a pause", () => {
  const presses = Array.from({ length: 12 }, (_, i) => [i * 500, "SIGINT"] as const);
  expect(meanings(...presses).indexOf("force")).toBe(10);
});

for (const signal of ["SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
  test(`StopPolicy never forces a stop when ${signal} is repeated`, () => {
    expect(meanings([0, signal], [6000, signal], [60_000, signal])).toEqual(["stop", "nothing", "nothing"]);
  });
}
