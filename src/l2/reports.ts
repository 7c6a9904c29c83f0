import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { TierRemovalListener, TierRemovalReason } from "./adapter.ts";
import type { ObjectKey } from "../core/object.ts";

/** The recipients of a tier's reports. */
export interface ReportOptions {
  /** The tier's name. */
  readonly name: string;
  readonly publish: Publish<EventMap>;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener | undefined;
}

/** An object that has left a tier, with its size. */
export interface RemovedObject {
  readonly key: ObjectKey;
  readonly bytes: number;
}

/**
 * Reports objects that have left a tier: calls the listener for each, and publishes one `l2.removed` for each tenant.
 */
export function reportRemoved(
  { name, publish, onRemoved }: ReportOptions,
  removed: readonly RemovedObject[],
  reason: TierRemovalReason,
): void {
  for (const { key } of removed) onRemoved?.(key, reason);
  for (const [tenant, group] of Map.groupBy(removed, ({ key }) => key.tenant)) {
    const bytes = group.reduce((sum, each) => sum + each.bytes, 0);
    publish("l2.removed", { tier: name, tenant, reason, keys: group.length, bytes });
  }
}

/**
 * Returns a function that takes the reason why a tier is unusable, or undefined while it is usable. It publishes
 * `l2.state.changed` whenever one becomes the other; a tier is usable at first.
 */
export function stateReport(
  { name, publish }: Pick<ReportOptions, "name" | "publish">,
): (trouble: string | undefined) => void {
  let last: string | undefined;
  return (trouble) => {
    const isChange = (trouble === undefined) !== (last === undefined);
    last = trouble;
    const state = trouble === undefined ? "usable" : "unusable";
    if (isChange) publish("l2.state.changed", { tier: name, state, cause: trouble ?? "" });
  };
}
