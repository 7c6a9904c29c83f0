import type { RuntimeName } from "../../test/e2e/support/server_process.ts";

/** Options of a part of the bench. */
export interface PartRun {
  readonly runtime: RuntimeName;
  /** A folder of its own on the disk that is measured; it is removed afterwards. */
  readonly folder: string;
  /** A folder that all parts and runtimes of this run share. */
  readonly sharedFolder: string;
  /** The root of the source tree whose server is measured. */
  readonly tree: string;
  /** Turns of each side, after one that is not counted. */
  readonly rounds: number;
  /** Length of a turn. */
  readonly seconds: number;
  /** Fewer and smaller objects. */
  readonly isShort: boolean;
}

/** One row of the table, a cell for each of its columns. */
export type Row = readonly string[];

/** One part of the bench: starts its servers, measures and stops them. */
export interface DiskPart {
  /** The word for `--only`. */
  readonly name: string;
  run(run: PartRun): Promise<readonly Row[]>;
}
