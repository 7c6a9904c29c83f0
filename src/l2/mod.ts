import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, TierRemovalListener, TierRemovalReason } from "./adapter.ts";
import { openFileUrl } from "./file_url.ts";
import type { AdapterKind } from "./kind.ts";
import { openMemoryUrl } from "./memory.ts";
import { TierUrl } from "./url.ts";

/** Every adapter, by URL scheme. */
export const adapters: ReadonlyMap<string, AdapterKind> = new Map([
  ["file:", { defaultName: "fs", open: openFileUrl }],
  ["memory:", { defaultName: "memory", open: openMemoryUrl }],
]);

/** Opens the tiers in the order of their URLs. Throws bad_request for a bad URL, tier_failed if a tier cannot be opened; then none stays open. */
export async function openTiers(
  urls: readonly string[],
  options: {
    readonly publish: Publish<EventMap>;
    readonly clock: Clock;
    /** Told of what leaves the tiers, by the place of the tier. Default: nobody is. */
    readonly onTierRemoved?: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
  },
): Promise<readonly L2Adapter[]> {
  const names = new Set(["l1"]);
  const plans = urls.map((text) => {
    const url = new TierUrl(text);
    const kind = adapters.get(url.scheme);
    if (kind === undefined) {
      throw bad(`unknown scheme: ${url.scheme} (known: ${[...adapters.keys()].join(" ")})`);
    }
    const name = url.take("name") ?? freeName(kind.defaultName, names);
    if (!/^[a-z0-9_-]{1,32}$/.test(name)) throw bad(`name must be 1-32 of a-z 0-9 _ -: ${name}`);
    if (names.has(name)) throw bad(`name is taken: ${name}`);
    names.add(name);
    return { url, kind, name };
  });
  const open: L2Adapter[] = [];
  try {
    const { publish, clock, onTierRemoved = () => {} } = options;
    for (const [tier, { url, kind, name }] of plans.entries()) {
      const tell: TierRemovalListener = (key, reason) => onTierRemoved(tier, key, reason);
      open.push(await kind.open(url, { publish, clock, name, onRemoved: tell }));
    }
    return open;
  } catch (error) {
    await Promise.all(open.map((tier) => tier.close()));
    throw error;
  }
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}${number}`;
  return name;
}

function bad(what: string): VitrineError {
  return new VitrineError("bad_request", `Reading an L2 URL: ${what}`);
}
