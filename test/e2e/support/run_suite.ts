import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Checks } from "./checks.ts";
import type { SuiteOptions } from "./options.ts";
import type { RuntimeName } from "./server_process.ts";

/** What a suite works with on one runtime. */
export interface SuiteRun {
  readonly runtime: RuntimeName;
  /** An empty folder, removed afterwards. */
  readonly folder: string;
  readonly checks: Checks;
}

/**
 * Runs a suite on each runtime that was asked for and prints a closing line for each; the exit code is 1 if anything
 * failed.
 */
export async function runSuite(
  name: string,
  { runtimes, seed }: SuiteOptions<never>,
  suite: (run: SuiteRun) => Promise<void>,
): Promise<void> {
  let failed = 0;
  for (const runtime of runtimes) {
    console.log(`${name} on ${runtime}, seed ${seed}`);
    const checks = new Checks(runtime);
    const folder = mkdtempSync(join(tmpdir(), `vitrine-${name}-`));
    try {
      await suite({ runtime, folder, checks });
    } catch (error) {
      checks.that("the suite runs to its end", false, () => String(error instanceof Error ? error.stack : error));
    } finally {
      rmSync(folder, { recursive: true });
    }
    checks.report();
    failed += checks.failed;
  }
  // Servers and connections that a failure has left behind end with this process.
  process.exit(failed > 0 ? 1 : 0);
}
