import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { Decide, Staging } from "../../l1/l1.ts";
import type { L2Load } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import { copyInto } from "../leased_memory.ts";
import type { KeySnapshot } from "../shared/key_lock.ts";
import type { LookupListener, ObjectRead } from "../storage.ts";
import { loadChunks } from "../tiers/load_chunks.ts";
import { askTiers, discardLoad, type TierAnswer, type TierReader } from "../tiers/tier_reader.ts";
import { BypassRead } from "./bypass_read.ts";
import { joinLoad, LOAD_TAG, type LoadProgress, MemoryRead, peek } from "./memory_read.ts";

/** The object, a miss, or "again": the key was changed since the load began, so the reader starts over. */
export type Joined = ObjectRead | "miss" | "again";

/** Options of a SharedLoad. */
export interface SharedLoadOptions {
  readonly key: ObjectKey;
  /** Begun before L1 was last checked. */
  readonly snapshot: KeySnapshot;
  /** Called with the tiers' answers. */
  readonly listener?: LookupListener | undefined;
  /** Called once no reader may join any more. Readers that still wait are answered after it. */
  readonly onClosed: () => void;
}

interface Found {
  readonly meta: ObjectMeta;
  /** The tiers, from the one that has the object on. */
  readonly tiers: readonly TierReader[];
  readonly tier: string;
}

/** A reader that waits for the answer, with the key of its own request. */
interface Waiting {
  readonly key: ObjectKey;
  readonly resolve: (joined: Joined) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * One load of one key from the tiers, shared by all readers that want it meanwhile. It goes into L1 if it fits,
 * and bypasses it otherwise.
 */
export class SharedLoad {
  readonly #context: StorageContext;
  readonly #options: SharedLoadOptions;
  readonly #waiting: Waiting[] = [];
  #changed = Promise.withResolvers<void>();
  #found: Found | undefined;
  #readers = 0;
  #draining = false;
  #failure: { readonly cause: unknown } | undefined;

  constructor(context: StorageContext, options: SharedLoadOptions) {
    this.#context = context;
    this.#options = options;
  }

  /**
   * The object for one more reader, with a read lease of its own; "again" if it is no longer the current one. Rejects
   * with tier_failed. Must not be called after `onClosed`.
   */
  join(key: ObjectKey): Promise<Joined> | Joined {
    if (this.#found !== undefined) return this.#readOf(this.#found, key);
    return new Promise((resolve, reject) => this.#waiting.push({ key, resolve, reject }));
  }

  /** Stops the load as soon as no reader wants the rest. */
  drain(): void {
    this.#draining = true;
  }

  /** Looks up, then loads. Never rejects: failures reach the readers. */
  async run(): Promise<void> {
    const { key, snapshot, listener } = this.#options;
    try {
      const opened = await askTiers(this.#context.tiers, (tier) => tier.open(key, listener));
      if (opened !== undefined) return await this.#load(opened);
      // The tiers may have lost it while another load already had it: a miss must not be followed by a hit.
      const isMiss = !snapshot.hasChanged && peek(this.#context, key) === undefined;
      this.#settle(() => isMiss ? "miss" : "again");
    } catch (error) {
      this.#options.onClosed();
      for (const reader of this.#waiting.splice(0)) reader.reject(error);
    }
  }

  async #load({ answer: opened, tier }: TierAnswer<L2Load>): Promise<void> {
    const { tiers } = this.#context;
    const index = tiers.indexOf(tier);
    const found = { meta: opened.meta, tiers: tiers.slice(index), tier: tier.name };
    const staging = this.#reserve(opened.meta, index);
    if (staging === "unwanted" || staging === "staging") {
      void discardLoad(opened);
      // Another thread was faster; its load serves these readers too.
      this.#settle((key) => staging === "staging" && joinLoad(this.#context, key) || "again");
    } else if (staging === "bypass") await this.#bypass(found, opened, tier);
    else {
      this.#found = found;
      for (const reader of this.#waiting.splice(0)) reader.resolve(this.#readOf(found, reader.key));
      await this.#fill(staging, found, opened);
    }
  }

  /**
   * Reserves room in L1, in the same critical section as the last check of the snapshot. A commit in any thread is
   * either seen there, or comes later and supersedes the staging, which is then neither found nor admitted.
   */
  #reserve(meta: ObjectMeta, tier: number): Staging | "unwanted" | "staging" | "bypass" {
    const { l1, publish, shared: { stripes } } = this.#context;
    const { key, snapshot } = this.#options;
    const { sizeBytes, contentType, sha256, headers } = meta;
    const stripe = stripes.of(key);
    const decide: Decide = (known) => {
      // L1 knows the key if another thread's load has ended meanwhile.
      if (snapshot.hasChanged || known !== undefined) return false;
      stripes.setLoadTier(stripe, tier);
      return true;
    };
    const [staged = "no_room"] = l1.reserveWrite(
      [{ key, sizeBytes, contentType, sha256, headers, loading: meta, decide }],
      LOAD_TAG,
    );
    if (staged === "no_room") {
      publish("l1.allocation.failed", { during: "l2_prefetch", keys: 1, bytes: sizeBytes, requestId: key.requestId });
    }
    return staged === "no_room" || staged === "too_large" || staged === "over_quota" ? "bypass" : staged;
  }

  /**
   * A stream that bypasses L1 serves one reader. Each further reader gets its own, opened before it is answered, so
   * that a later change of the key cannot break it.
   */
  async #bypass(found: Found, opened: L2Load, tier: TierReader): Promise<void> {
    this.#options.onClosed();
    const [first, ...others] = this.#waiting.splice(0);
    first?.resolve(new BypassRead(this.#context, { ...found, key: first.key, opened }));
    await Promise.all(others.map(async (reader) => reader.resolve(await this.#openAgain(tier, found, reader.key))));
  }

  /** Shows the last bytes only after the load has succeeded: a reader that gets all bytes has the right ones. */
  async #fill(staging: Staging, found: Found, opened: L2Load): Promise<void> {
    const { l1, renewer } = this.#context;
    const { key } = this.#options;
    const { lease, extents } = staging;
    const { meta } = found;
    renewer.keep(lease);
    try {
      let at = 0;
      const request = { key, meta, start: 0, end: meta.sizeBytes, tiers: found.tiers, opened };
      for await (const chunk of loadChunks(this.#context, request)) {
        // Renewed in the same synchronous step as the copy: memory of an expired lease may belong to another object.
        if (!l1.renew(lease)) throw new VitrineError("tier_failed", "load object: its write lease has run out");
        if (this.#isUnwanted()) throw new VitrineError("shutting_down", "load object: nobody wants it");
        copyInto(extents, at, chunk);
        at += chunk.length;
        if (at < meta.sizeBytes) l1.filled(lease, at);
        this.#wake();
      }
      l1.filled(lease, at);
      const { sizeBytes, version, createdMs, expiresMs } = meta;
      const commit = { lease, sizeBytes, crc32: meta.crc32, version, createdMs, expiresMs };
      const [outcome] = l1.finishWrite([commit], "keep");
      if (outcome === "stale") this.#failure = { cause: undefined };
    } catch (cause) {
      this.#failure = { cause };
      l1.abort([lease]);
    } finally {
      renewer.drop(lease);
      this.#options.onClosed();
      this.#wake();
    }
  }

  /** False if there are other threads: their readers are not known here. */
  #isUnwanted(): boolean {
    return this.#draining && this.#readers === 0 && !this.#context.shared.isShared;
  }

  #readOf(found: Found, key: ObjectKey): ObjectRead | "again" {
    const following = this.#context.l1.follow(key, LOAD_TAG);
    if (following === undefined) return "again";
    if (following.meta.version !== found.meta.version) {
      this.#context.l1.finishRead([following.lease]);
      return "again";
    }
    this.#readers += 1;
    const filling: LoadProgress = {
      readableBytes: () => {
        const state = following.state();
        if (this.#failure !== undefined || state === "failed") return undefined;
        return state === "done" ? found.meta.sizeBytes : following.filledBytes();
      },
      changed: () => this.#changed.promise,
      ended: async () => {
        while (this.#failure === undefined && following.state() === "loading") await this.#changed.promise;
      },
      failure: () => this.#failure?.cause,
    };
    return new MemoryRead(this.#context, {
      key,
      resident: following,
      tier: found.tier,
      filling,
      onRelease: () => this.#readers -= 1,
    });
  }

  async #openAgain(tier: TierReader, found: Found, key: ObjectKey): Promise<Joined> {
    const { meta } = found;
    const opened = await tier.openRange(key, { start: 0, end: meta.sizeBytes }).catch(() => undefined);
    if (opened?.meta.version === meta.version) return new BypassRead(this.#context, { ...found, key, opened });
    if (opened !== undefined) await discardLoad(opened);
    return "again";
  }

  /** Answers all waiting readers; no reader may join any more. */
  #settle(joined: (key: ObjectKey) => Joined): void {
    this.#options.onClosed();
    for (const reader of this.#waiting.splice(0)) reader.resolve(joined(reader.key));
  }

  #wake(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
