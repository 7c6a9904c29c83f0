import { execFileSync } from "node:child_process";
import process from "node:process";

/** Where and with what a command runs. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs a command to its end and returns what it printed on standard output. Throws with standard error if it fails. */
export function run(command: string, args: readonly string[], { cwd, env, input }: RunOptions = {}): string {
  return execFileSync(command, args, {
    encoding: "utf8",
    stdio: "pipe",
    maxBuffer: 64 * 1024 ** 2,
    // Tools colour their output when they believe a person reads it.
    env: { ...process.env, NO_COLOR: "1", ...env },
    ...(cwd === undefined ? {} : { cwd }),
    ...(input === undefined ? {} : { input }),
  });
}
