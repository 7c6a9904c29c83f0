import type { SuiteRun } from "../support/run_suite.ts";

/**
 * One kind of attack or accident, tried on a real server process. Cases run one after the other, in a folder of their
 * own.
 */
export interface HostileCase {
  /** The word for `--only`. */
  readonly name: string;
  run(run: SuiteRun): Promise<void>;
}
