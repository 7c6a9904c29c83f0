import { formatSize } from "../core/size.ts";

/**
 * Exit codes: everything was done; something failed, or acknowledged objects were lost; invalid settings; all objects
 * are stored, but something else was not finished.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, incomplete: 3 } as const;

/** A number of objects, and the bytes of their bodies. */
export interface ObjectAmount {
  readonly objects: number;
  readonly bytes: number;
}

/** The result of a stop. */
export interface StopResult {
  readonly seconds: number;
  /** Objects that were dirty when the stop began and are stored now. */
  readonly stored: number;
  /** Objects that no tier took, after all attempts. */
  readonly refused: number;
  /** Objects that are still dirty. */
  readonly dirty: ObjectAmount;
  /** Requests that were aborted. */
  readonly cutRequests: number;
  /** One line for each part that could not be finished. */
  readonly failures: readonly string[];
  /** By signal, whether its last push arrived; empty if nothing is pushed. */
  readonly pushes: ReadonlyMap<string, boolean>;
}

/** The last line of a stop. */
export function stopLine(result: StopResult): string {
  const { seconds, stored, refused, dirty, cutRequests, failures, pushes } = result;
  const lost = refused + dirty.objects;
  const lostBytes = dirty.objects > 0 ? ` (${formatSize(dirty.bytes)} still queued)` : "";
  const missed = [...pushes].filter(([, arrived]) => !arrived).map(([signal]) => signal);
  return [
    `vitrine: stopped in ${seconds.toFixed(1)} s: ${counted(stored, "object")} stored`,
    ...(lost > 0 ? [`${counted(lost, "acknowledged object")} LOST${lostBytes}`] : []),
    ...(cutRequests > 0 ? [`${counted(cutRequests, "request")} broken off`] : []),
    ...(missed.length > 0 ? [`last push of ${missed.join(", ")} failed`] : pushes.size > 0 ? ["telemetry pushed"] : []),
    ...failures,
  ].join(", ");
}

/** The exit code of a stop. */
export function exitCodeOf({ refused, dirty, cutRequests, failures, pushes }: StopResult): number {
  if (refused + dirty.objects + failures.length > 0) return EXIT.failed;
  return cutRequests > 0 || [...pushes.values()].includes(false) ? EXIT.incomplete : EXIT.done;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The line of a stop that ends before it has finished. */
export function forcedLine(seconds: number, dirty: ObjectAmount): string {
  return `vitrine: ended after ${seconds.toFixed(1)} s of stopping: ${
    counted(dirty.objects, "acknowledged object")
  } LOST (${formatSize(dirty.bytes)})`;
}

/** The line of a slow stop, which can be forced from now on. */
export function stillLine(dirty: ObjectAmount): string {
  return `vitrine: still stopping, ${
    counted(dirty.objects, "object")
  } to store: Ctrl-C (SIGINT) now ends it at once and loses them`;
}
