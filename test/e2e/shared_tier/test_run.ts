import { spawn } from "node:child_process";
import process from "node:process";
import type { SuiteRun } from "../support/run_suite.ts";

/** Runs a file of tests on the suite's runtime, as one check. `env`: what its environment has besides. */
export async function testRun(
  { runtime, checks }: SuiteRun,
  path: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const args = runtime === "bun" ? ["test", "--timeout=60000", path] : ["test", "--allow-all", "--no-check", path];
  const child = spawn(runtime, args, { env: { ...process.env, ...env, NO_COLOR: "1" } });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Uint8Array) => output.push(new TextDecoder().decode(chunk)));
  }
  const code = await new Promise((resolve) => child.once("exit", resolve));
  checks.that(`${path} ${Object.values(env).join(" ")}`, code === 0, () => output.join(""));
}
