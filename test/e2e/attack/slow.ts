import { spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { once } from "node:events";
import type { SuiteRun } from "../support/run_suite.ts";
import { ensureInstalled } from "../tools/debian.ts";
import { AttackedServer } from "./attacked_server.ts";
import type { PartOptions } from "./part.ts";

const CONNECTIONS = 150;
/** Longest time in which others must be answered meanwhile: a hang, not a busy machine, is what fails. */
const PATIENCE_MS = 10_000;

/** slowhttptest's ways: heads, bodies and reads of a few bytes at a time. */
const ways = {
  heads: ["-H", "-i", "1"],
  bodies: ["-B", "-i", "1", "-s", "65536", "-t", "PUT", "-x", "8"],
  reads: ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"],
} as const;

/** Heads, bodies and reads that take for ever, from many connections; others are answered meanwhile. */
export async function slow({ runtime, checks }: SuiteRun, { seconds }: PartOptions): Promise<void> {
  ensureInstalled({ slowhttptest: "slowhttptest" });
  const server = await AttackedServer.start(runtime, { "idle-timeout": "8s", "transfer-timeout": "4s" });
  const url = `${server.url}/v1/objects/large`;
  await fetch(url, { method: "PUT", body: new Uint8Array(6 * 1024 * 1024) });
  const count = String(CONNECTIONS);
  const common = ["-c", count, "-r", count, "-l", String(seconds), "-u", url, "-p", "3"];
  const attacks = Object.values(ways).map((flags) =>
    once(spawn("slowhttptest", [...flags, ...common], { stdio: "ignore" }), "exit")
  );
  let longestMs = 0;
  const deadlineMs = performance.now() + seconds * 1000;
  while (performance.now() < deadlineMs) {
    const startMs = performance.now();
    const answer = await fetch(`${server.url}/v1/objects/other`);
    await answer.arrayBuffer();
    longestMs = Math.max(longestMs, performance.now() - startMs);
    await wait(20);
  }
  await Promise.all(attacks);
  console.log(`slow: others waited ${Math.round(longestMs)} ms at most`);
  checks.that("slow: others are answered meanwhile", longestMs < PATIENCE_MS, () => `${Math.round(longestMs)} ms`);
  const ended = await server.sum("vitrine_limits_reached_total", { limit: "transfer" });
  checks.that("slow: transfers are ended", ended > 0);
  await server.checkUnharmed("slow", checks);
}
