import { VitrineError } from "../../core/errors.ts";
import { holds, type ObjectMeta, type Precondition } from "../../core/object.ts";

/** Throws precondition_failed unless it holds of the object that is there. */
export function assertHolds(precondition: Precondition | undefined, current: ObjectMeta | undefined): void {
  if (precondition === undefined || holds(precondition, current)) return;
  throw new VitrineError("precondition_failed", "change object: its precondition does not hold");
}

/** The refusal of an upload whose memory is not its own any more. */
export function leaseLost(): VitrineError {
  return new VitrineError("no_room", "take upload: its write lease has run out");
}
