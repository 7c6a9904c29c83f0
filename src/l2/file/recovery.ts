import type { BlockingDisk } from "./blocking_disk.ts";
import type { ObjectIndex } from "./index.ts";
import type { Layout } from "./layout.ts";
import type { Segments } from "./segments.ts";

/** What was found when the folder was opened. */
export interface Recovery {
  /** Files that no record names, which unfinished writes and removals leave behind. */
  readonly leftovers: number;
  /** Objects the index did not know and now does. */
  readonly adopted: number;
  /** Older versions of an object that were removed. */
  readonly superseded: number;
  /** Damaged objects that were removed. */
  readonly corrupt: number;
  /** Entries of the index whose file or record is not there. */
  readonly missing: number;
}

/** What recovery works on. */
export interface RecoverOptions {
  readonly layout: Layout;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly disk: BlockingDisk;
}

/** The counts of a recovery that goes on. */
export type Found = { -readonly [K in keyof Recovery]: number };
