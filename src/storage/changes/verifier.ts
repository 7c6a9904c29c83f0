import { etagOf, type ObjectKey, type ObjectMeta } from "../../core/object.ts";
import type { OwnerContext } from "../context.ts";
import type { Tier } from "../tiers/tier.ts";

/** A copy of an object, and the most time for which it may have been outdated. */
interface Copy {
  readonly etag: string;
  readonly seconds: number;
}

/**
 * Compares this server's copies of objects with those of tiers that other servers change unnoticed, and drops copies
 * that differ: those in L1, and those in the tiers that are not shared. Nothing is locked while a tier is asked. That
 * is safe because a copy is dropped, or confirmed, only if it is still the one that was compared.
 */
export class Verifier {
  readonly #context: OwnerContext;
  /** The tiers that only this server changes. */
  readonly #privateTiers: readonly Tier[];
  /** The tiers that are asked. */
  readonly #sharedTiers: readonly Tier[];

  constructor(context: OwnerContext) {
    this.#context = context;
    this.#privateTiers = context.tiers.filter(({ isShared }) => !isShared);
    this.#sharedTiers = context.tiers.filter(({ maxAgeMs }) => maxAgeMs !== undefined);
  }

  /** Verifies the copies of a key, unless that was just done. Copies stay if a tier cannot answer. */
  async verify(key: ObjectKey): Promise<void> {
    const { l1, clock, maxAgeMs } = this.#context;
    const known = l1.know(key);
    const ageMs = l1.cleanAgeMs(key);
    // What is dirty is the truth, and a young copy may have been verified for another reader a moment ago.
    if (known !== undefined && (ageMs === undefined || ageMs <= maxAgeMs)) return;
    const found = await Promise.all(this.#privateTiers.map((tier) => tier.lookup(key).catch(() => undefined)));
    const copies = found.flatMap((copy) => copy === undefined ? [] : [this.#copyOf(copy)]);
    if (known?.meta !== undefined) copies.unshift({ etag: etagOf(known.meta), seconds: (ageMs ?? 0) / 1000 });
    const askedMs = clock.monotonicMs();
    let isCurrent = true;
    for (const tier of this.#sharedTiers) isCurrent = await this.#compare(tier, key, copies) && isCurrent;
    if (isCurrent && known?.meta !== undefined) l1.confirm(key, known.meta.version, askedMs);
  }

  /** Drops the copies that are not what a tier has; true if all are. */
  async #compare(tier: Tier, key: ObjectKey, copies: readonly Copy[]): Promise<boolean> {
    // A copy there that is known to be outdated says nothing.
    if (tier.trouble !== undefined || tier.stale.has(key)) return false;
    let current: ObjectMeta | undefined;
    try {
      current = await tier.lookup(key);
    } catch {
      // The lookup has been published as failed.
      return false;
    }
    const outdated = copies.filter(({ etag }) => current === undefined || etagOf(current) !== etag);
    if (outdated.length > 0 && await this.#drop(key, new Set(outdated.map(({ etag }) => etag)))) {
      const seconds = Math.min(...outdated.map((copy) => copy.seconds));
      this.#context.publish("l2.changed_elsewhere", { tier: tier.name, scope: "key", seconds });
    }
    return outdated.length === 0;
  }

  #copyOf(copy: ObjectMeta): Copy {
    return { etag: etagOf(copy), seconds: Math.max(0, this.#context.clock.nowMs() - copy.createdMs) / 1000 };
  }

  /** Drops the copies with one of these tags; true if there was one. */
  async #drop(key: ObjectKey, etags: ReadonlySet<string>): Promise<boolean> {
    const { l1, keyLock } = this.#context;
    const isOutdated = (meta: ObjectMeta | undefined): boolean => meta !== undefined && etags.has(etagOf(meta));
    return await keyLock.run(key, async () => {
      const dropped = await Promise.all(this.#privateTiers.map(async (tier) => {
        if (!isOutdated(await tier.lookup(key).catch(() => undefined))) return false;
        await tier.forget(key);
        return true;
      }));
      const [inL1] = l1.delete([key], "replaced", (now) => now?.isDirty === false && isOutdated(now.meta));
      return inL1 === true || dropped.includes(true);
    });
  }
}
