import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { KeyBytes } from "./arena/key_bytes.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { L1Options } from "./options.ts";
import type { Tables } from "./arena/tables.ts";
import type { Tally } from "./tally.ts";

/** Objects that the operations of one thread's L1 share. */
export interface Parts {
  readonly tables: Tables;
  readonly lifecycle: Lifecycle;
  /** Events collected under the lock, to be published after it. */
  readonly tally: Tally;
  /** The current key; every operation sets it again. */
  readonly key: KeyBytes;
  readonly options: L1Options;
  /** Never throws. Call it only without the lock. */
  readonly publish: Publish<EventMap>;
}
