import type { SuiteRun } from "../support/run_suite.ts";

/** How long a part goes on, and from which seed. */
export interface PartOptions {
  readonly seconds: number;
  readonly seed: number;
}

/** One way to attack a server. */
export type Part = (run: SuiteRun, options: PartOptions) => Promise<void>;
