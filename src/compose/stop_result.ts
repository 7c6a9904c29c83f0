import { formatSize } from "../core/size.ts";

/**
 * Exit codes: all was done; something failed, or acknowledged objects were lost; settings that cannot be used; every
 * object is stored, but something else was left undone.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, incomplete: 3 } as const;

/** Objects, and the bytes of their bodies. */
export interface ObjectAmount {
  readonly objects: number;
  readonly bytes: number;
}

/** The result of a stop. */
export interface StopResult {
  readonly seconds: number;
  /** Objects that waited for their store when the stop began, and are stored now. */
  readonly stored: number;
  /** Objects that no tier took although it was asked until its last attempt. */
  readonly refused: number;
  /** Acknowledged objects that still wait for their store. */
  readonly unsaved: ObjectAmount;
  /** Requests that were broken off. */
  readonly cutRequests: number;
  /** One line for each part that could not be ended. */
  readonly failures: readonly string[];
  /** True for each signal whose last push arrived; empty if nothing is pushed. */
  readonly pushes: ReadonlyMap<string, boolean>;
}

/** The line that a stop ends with. */
export function stopLine(result: StopResult): string {
  const { seconds, stored, refused, unsaved, cutRequests, failures, pushes } = result;
  const lost = refused + unsaved.objects;
  const lostBytes = unsaved.objects > 0 ? ` (${formatSize(unsaved.bytes)} still queued)` : "";
  const missed = [...pushes].filter(([, arrived]) => !arrived).map(([signal]) => signal);
  return [
    `vitrine: stopped in ${seconds.toFixed(1)} s: ${counted(stored, "object")} stored`,
    ...(lost > 0 ? [`${counted(lost, "acknowledged object")} LOST${lostBytes}`] : []),
    ...(cutRequests > 0 ? [`${counted(cutRequests, "request")} broken off`] : []),
    ...(missed.length > 0 ? [`last push of ${missed.join(", ")} failed`] : pushes.size > 0 ? ["telemetry pushed"] : []),
    ...failures,
  ].join(", ");
}

/** The exit code that says what the line says. */
export function exitCodeOf({ refused, unsaved, cutRequests, failures, pushes }: StopResult): number {
  if (refused + unsaved.objects + failures.length > 0) return EXIT.failed;
  return cutRequests > 0 || [...pushes.values()].includes(false) ? EXIT.incomplete : EXIT.done;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The line of a stop that ends before it is finished. */
export function forcedLine(seconds: number, unsaved: ObjectAmount): string {
  return `vitrine: ended after ${seconds.toFixed(1)} s of stopping: ${
    counted(unsaved.objects, "acknowledged object")
  } LOST (${formatSize(unsaved.bytes)})`;
}

/** The line of a stop that takes its time: from now on it can be forced. */
export function stillLine(unsaved: ObjectAmount): string {
  return `vitrine: still stopping, ${
    counted(unsaved.objects, "object")
  } to store: Ctrl-C (SIGINT) now ends it at once and loses them`;
}
