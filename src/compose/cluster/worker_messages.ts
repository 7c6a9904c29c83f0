import type { TokenEntry } from "../../access/token_entry.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { StorageLines } from "../storage_thread/messages.ts";

/** A message from main to a worker. */
export type ToWorker =
  | { readonly kind: "stop" }
  /** The storage thread was started again and is reached here. */
  | { readonly kind: "storage"; readonly lines: StorageLines }
  /** Other tokens count from now on. */
  | { readonly kind: "tokens"; readonly tokens: readonly TokenEntry[] };

/** A message from a worker to main. */
export type FromWorker =
  | Ready
  | { readonly kind: "failed"; readonly message: string }
  | Stopped;

/** The report of a worker that has stopped. */
export interface Stopped {
  readonly kind: "stopped";
  /**
   * Where the worker itself stores: objects that waited when it was told to stop, and are stored; objects that no tier
   * took.
   */
  readonly stored: number;
  readonly refused: number;
  /** Requests that it broke off. */
  readonly cutRequests: number;
  /** The cause in one line, if it could not end something. */
  readonly failure?: string;
}

/** The report of a worker that serves: the names of its tiers. */
export interface Ready {
  readonly kind: "ready";
  readonly tiers: readonly string[];
}

/**
 * The reason why a worker is gone: it threw what nobody caught; it ended by itself; its heartbeat stood still; it was
 * ended as a drill; it ended before it was ready; it was told to stop.
 */
export type Cause = EventMap["worker.gone"]["cause"];
