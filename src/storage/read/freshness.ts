import { keyId, type ObjectKey } from "../../core/object.ts";
import { VitrineError } from "../../core/errors.ts";
import type { TierChanges } from "../changes/tier_changes.ts";
import type { StorageContext } from "../context.ts";

/**
 * Milliseconds for which a reader waits for a verification. A tier that takes longer is treated as one that cannot be
 * asked: L1 goes on with what it has.
 */
const PATIENCE_MS = 2000;

/** Milliseconds for which nothing is verified after that, so that a tier that hangs delays few readers. */
const PAUSE_MS = 5000;

/** Keys of one request that are verified at the same time. */
const VERIFYING = 32;

/**
 * Keeps what readers get within the age that a shared tier allows (`maxAgeMs`): before an older copy is used, the owner
 * of the tiers verifies it, once for all readers of this thread.
 */
export class Freshness {
  readonly #context: StorageContext;
  readonly #changes: Pick<TierChanges, "verify">;
  /** True if a tier of this server alone may have an outdated copy of what is not in L1. */
  readonly #hasPrivateTier: boolean;
  readonly #verifying = new Map<string, Promise<void>>();
  /** Monotonic milliseconds until which nothing is verified. */
  #pausedUntilMs = -Infinity;

  constructor(context: StorageContext, changes: Pick<TierChanges, "verify">) {
    this.#context = context;
    this.#changes = changes;
    this.#hasPrivateTier = context.tiers.some(({ isShared }) => !isShared);
  }

  /** True if the copies of a key must be verified before they are used. */
  isDue(key: ObjectKey): boolean {
    const { l1, maxAgeMs, tiers, clock } = this.#context;
    if (maxAgeMs === Infinity || clock.monotonicMs() < this.#pausedUntilMs) return false;
    const ageMs = l1.cleanAgeMs(key);
    const isOld = ageMs === undefined ? this.#hasPrivateTier && l1.know(key) === undefined : ageMs > maxAgeMs;
    return isOld && tiers.some((tier) => tier.maxAgeMs !== undefined && tier.trouble === undefined);
  }

  /** Verifies the copies of a key; undefined if they may be used as they are. Never rejects because of a tier. */
  verify(key: ObjectKey): Promise<void> | undefined {
    if (!this.isDue(key)) return undefined;
    const id = keyId(key);
    const running = this.#verifying.get(id);
    if (running !== undefined) return running;
    const verifying = this.#soon(key).finally(() => this.#verifying.delete(id));
    this.#verifying.set(id, verifying);
    return verifying;
  }

  /** Verifies the copies of many keys, some at the same time; undefined if all may be used as they are. */
  verifyMany(keys: readonly ObjectKey[]): Promise<void> | undefined {
    const due = keys.filter((key) => this.isDue(key));
    return due.length === 0 ? undefined : this.#all(due.values());
  }

  async #all(due: Iterable<ObjectKey>): Promise<void> {
    const work = async (): Promise<void> => {
      for (const key of due) await this.verify(key);
    };
    await Promise.all(Array.from({ length: VERIFYING }, work));
  }

  #soon(key: ObjectKey): Promise<void> {
    const { timers, clock } = this.#context;
    return new Promise((resolve, reject) => {
      const stop = timers.every(PATIENCE_MS, () => {
        stop();
        this.#pausedUntilMs = clock.monotonicMs() + PAUSE_MS;
        resolve();
      });
      const fail = (error: unknown): void => error instanceof VitrineError ? resolve() : reject(error);
      void this.#changes.verify(key).then(resolve, fail).finally(stop);
    });
  }
}
