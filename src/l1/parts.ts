import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { KeyBytes } from "./arena/key_bytes.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { L1Options } from "./options.ts";
import type { Tables } from "./arena/tables.ts";
import type { Tally } from "./tally.ts";

/** What the operations of one thread's L1 work on. */
export interface Parts {
  readonly tables: Tables;
  readonly lifecycle: Lifecycle;
  /** What happened under the lock, to be published after it. */
  readonly tally: Tally;
  /** The key at hand; every operation sets it anew. */
  readonly key: KeyBytes;
  readonly options: L1Options;
  /** Never throws; only without the lock. */
  readonly publish: Publish<EventMap>;
}
