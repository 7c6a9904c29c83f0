import { expect, test } from "bun:test";
import { type Aim, type ContenderName, contendersOf } from "../bench/compare/cases.ts";
import type { Contender, Round } from "../bench/compare/contender.ts";
import { type CaseRounds, type Ratio, ratiosOf } from "../bench/compare/ratios.ts";
import { report } from "../bench/compare/report.ts";

const load = { method: "GET", path: "/a", sizeBytes: 4096, keys: 0, connections: 1 } as const;
const idle: Contender = { measure: () => Promise.reject(new Error("not asked")) };
const rounds = (...cpuUs: readonly number[]): Round[] => cpuUs.map((each) => ({ rate: 1000 / each, cpuUs: each }));

const measured: CaseRounds = new Map<ContenderName, { server: Contender; rounds: readonly Round[] }>([
  ["vitrine on bun", { server: idle, rounds: rounds(20, 10, 40) }],
  ["bare Bun.serve", { server: idle, rounds: rounds(5, 8, 16) }],
  ["redis-server", { server: idle, rounds: rounds(10, 4, 8) }],
  ["bazel-remote", { server: { ...idle, standsInFor: "bazel-remote" }, rounds: rounds(20, 20, 20) }],
]);
const toRedis: Aim = { runtime: "bun", of: "vitrine on bun", to: "redis-server", bare: "bare Bun.serve" };

function ratioOf(aim: Aim): Ratio | undefined {
  return ratiosOf({ ...load, name: "GET", aims: [aim] }, measured)[0];
}

test("ratiosOf compares the least processor times of all rounds, and rates round by round", () => {
  expect(ratioOf({ ...toRedis, atLeast: 0.4 })).toMatchObject({ byCpu: 0.4, ofBare: 0.8, verdict: "reached" });
  expect(ratioOf(toRedis)).toMatchObject({ byRate: [0.5, 0.4, 0.2], verdict: "" });
  expect(ratioOf({ ...toRedis, atLeast: 0.41 })?.verdict).toBe("missed");
});

test("ratiosOf takes an aim as a part of the bare server's ratio when it is one", () => {
  expect(ratioOf({ ...toRedis, atLeast: 0.5, ofBare: true })).toMatchObject({ atLeast: 0.4, verdict: "reached" });
  expect(ratioOf({ ...toRedis, atLeast: 0.51, ofBare: true })?.verdict).toBe("missed");
});

test("ratiosOf calls an aim reached or not shown when another server stands in", () => {
  const aim = { ...toRedis, to: "bazel-remote" } as const;
  expect(ratioOf({ ...aim, atLeast: 2 })).toMatchObject({ to: "a stand-in for bazel-remote", verdict: "reached" });
  expect(ratioOf({ ...aim, atLeast: 2.1 })?.verdict).toBe("not shown");
});

test("ratiosOf says that a ratio is not measured when a server is missing", () => {
  expect(ratioOf({ ...toRedis, to: "varnish", atLeast: 1 })).toMatchObject({ byRate: [], verdict: "not measured" });
});

test("report says why an aim is missed when that is known", () => {
  const aims: readonly Aim[] = [
    { ...toRedis, atLeast: 0.5, why: "it copies" },
    { ...toRedis, atLeast: 0.9 },
    { ...toRedis, atLeast: 0.6 },
    { ...toRedis, to: "varnish", atLeast: 1 },
  ];
  const lines = report({ cases: new Map([[{ ...load, name: "GET", aims }, measured]]), threads: [] }).split("\n");
  expect(lines.filter((line) => line.startsWith("- "))).toEqual([
    "- GET, vitrine on bun / redis-server misses its aim: it copies.",
    "- GET, vitrine on bun / redis-server misses its aim: the bare server itself reaches only 0.80.",
  ]);
  expect(lines.filter((line) => line.includes("varnish"))).toEqual([
    "| GET | vitrine on bun / varnish |  |  | 1.00: not measured |  |",
  ]);
  expect(lines).toContain(
    "| GET | vitrine on bun / redis-server | 0.40 | 0.80 | 0.50: **missed** | 0.40 (0.20-0.50) |",
  );
});

test("contendersOf names the servers of all ratios, in their turns", () => {
  const aims: readonly Aim[] = [toRedis, { runtime: "deno", of: "vitrine on deno", to: "bare Deno.serve" }];
  expect(contendersOf({ ...load, name: "GET", aims })).toEqual([
    "bare Bun.serve",
    "vitrine on bun",
    "bare Deno.serve",
    "vitrine on deno",
    "redis-server",
  ]);
});
