import { Batch } from "../../core/coalesce.ts";
import { VitrineError } from "../../core/errors.ts";
import { errorOf, failureOf, type Port } from "../../core/threads.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import type { StoreResult } from "../tiers/tier.ts";
import type { Asked, FinishedTier, FromOwner, ToOwner } from "./messages.ts";
import type { FollowedWrite } from "./tier_changes.ts";
import type { TierOwner } from "./tier_owner.ts";

/** Options of a ChangeServer. */
export interface ChangeServerOptions {
  readonly owner: TierOwner;
  readonly context: Pick<StorageContext, "tiers" | "clock">;
  /** Told that L1 has something to store. */
  readonly wake: (followed: FollowedWrite | undefined) => void;
}

/**
 * The owner's side of the line to one worker, until its port closes or `end` is called: then the turn that it was given
 * is over. What it asked for before is done all the same, unless its memory goes with it.
 */
export class ChangeServer {
  readonly #options: ChangeServerOptions;
  readonly #port: Port<readonly FromOwner[], readonly ToOwner[]>;
  readonly #said = new Batch<FromOwner>((said) => this.#hasEnded || this.#port.post(said));
  /** Streams whose turn it is. */
  readonly #granted = new Map<number, PromiseWithResolvers<readonly StoreResult[]>>();
  #hasEnded = false;

  constructor(port: Port<readonly FromOwner[], readonly ToOwner[]>, options: ChangeServerOptions) {
    this.#port = port;
    this.#options = options;
    port.listen((said) => said.forEach((each) => this.#hear(each)), () => this.end());
  }

  end(): void {
    this.#hasEnded = true;
    this.#port.close();
    for (const { reject } of this.#granted.values()) reject(workerGone());
    this.#granted.clear();
  }

  #hear(said: ToOwner): void {
    if (said.kind === "wake") this.#options.wake(said.followed);
    else if (said.kind === "finished") this.#finished(said.id, said.tiers);
    else void this.#answer(said.id, said.asked);
  }

  async #answer(id: number, asked: Asked): Promise<void> {
    try {
      this.#said.add({ kind: "answered", id, value: await this.#make(id, asked) });
    } catch (error) {
      this.#said.add({ kind: "failed", id, failure: failureOf(error) });
    }
  }

  #make(id: number, asked: Asked) {
    const { owner, context: { clock } } = this.#options;
    if (asked.kind === "put") return owner.put(asked.write);
    if (asked.kind === "stream") return owner.stream(asked.write, (meta) => this.#grant(id, meta));
    if (asked.kind === "clear") return owner.clear(asked.tenant, asked.tier);
    return owner.delete(asked.key, asked.precondition, () => {
      if (clock.monotonicMs() >= asked.untilMs) throw new VitrineError("tier_failed", "delete object: too late");
    });
  }

  #grant(id: number, meta: ObjectMeta): Promise<readonly StoreResult[]> {
    if (this.#hasEnded) return Promise.reject(workerGone());
    const grant = Promise.withResolvers<readonly StoreResult[]>();
    this.#granted.set(id, grant);
    this.#said.add({ kind: "granted", id, meta });
    return grant.promise;
  }

  #finished(id: number, finished: readonly FinishedTier[] | undefined): void {
    const { tiers } = this.#options.context;
    const grant = this.#granted.get(id);
    this.#granted.delete(id);
    if (finished === undefined) grant?.reject(new VitrineError("client_gone", "store upload: it was given up"));
    else {
      grant?.resolve(finished.flatMap(({ failure, isInDoubt }, index) => {
        const tier = tiers[index];
        return tier === undefined ? [] : [{ tier, error: failure && errorOf(failure), isInDoubt }];
      }));
    }
  }
}

function workerGone(): VitrineError {
  return new VitrineError("client_gone", "store upload: its worker is gone");
}
