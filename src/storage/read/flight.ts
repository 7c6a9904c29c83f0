import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { Staging } from "../../l1/types.ts";
import type { L2Load } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import { copyInto } from "../copy_into.ts";
import { askTiers, type TierAnswer } from "../tiers/ask_tiers.ts";
import { discardLoad } from "../tiers/discard_load.ts";
import { loadChunks } from "../tiers/load_chunks.ts";
import type { Tier } from "../tiers/tier.ts";
import type { ObjectRead } from "../types.ts";
import { BypassRead } from "./bypass_read.ts";
import { type Filling, MemoryRead } from "./memory_read.ts";

/** The tag under which loads stage: one load per key among all workers. */
const LOAD_TAG = "load";

/** What a reader gets from a flight: the object, a miss, or "again": the key was changed while the tiers were asked, so start over. */
export type Boarded = ObjectRead | "miss" | "again";

interface Found {
  readonly meta: ObjectMeta;
  /** The tiers from the one that has the object. */
  readonly tiers: readonly Tier[];
  readonly tier: string;
}

/** One load of one key from the tiers, shared by all who want it while it lasts: into L1 if it fits, else past it. */
export class Flight {
  readonly #context: StorageContext;
  readonly #key: ObjectKey;
  readonly #onFull: () => void;
  readonly #waiting: { resolve: (boarded: Boarded) => void; reject: (reason: unknown) => void }[] = [];
  #changed = Promise.withResolvers<void>();
  #found: Found | undefined;
  #readers = 0;
  #detached = false;
  #draining = false;
  #failed = false;

  /** `onFull` is called, before any reader is answered, in the turn from which on nobody may board. */
  constructor(context: StorageContext, key: ObjectKey, onFull: () => void) {
    this.#context = context;
    this.#key = key;
    this.#onFull = onFull;
  }

  /** The object for one more reader, with a read lease of its own. Rejects with tier_failed. Not to be called after `detach` or `onFull`. */
  board(): Promise<Boarded> {
    const found = this.#found;
    if (found !== undefined) return Promise.resolve(this.#readOf(found));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The key has got a new object or none: nobody may join any more, and what has not been opened starts over. */
  detach(): void {
    this.#detached = true;
  }

  /** Stop as soon as no reader wants the rest. */
  drain(): void {
    this.#draining = true;
  }

  /** Looks up, then loads. Never rejects: failures reach the readers. */
  async run(): Promise<void> {
    try {
      const opened = await this.#open();
      // From here to the reservation in #load there is no await: a commit is either seen in #detached, or later by L1, which then never admits this load.
      if (this.#detached || opened === "again" || opened === "miss") {
        if (typeof opened === "object") void discardLoad(opened.answer);
        const boarded = opened === "miss" && !this.#detached ? "miss" : "again";
        this.#onFull();
        this.#settle(() => boarded);
      } else await this.#load(opened.answer, opened.tier);
    } catch (error) {
      this.#onFull();
      for (const reader of this.#waiting.splice(0)) reader.reject(error);
    }
  }

  async #open(): Promise<TierAnswer<L2Load> | "miss" | "again"> {
    const watch = this.#context.latch.watch(this.#key);
    let opened: TierAnswer<L2Load> | undefined;
    try {
      opened = await askTiers(this.#context.tiers, (tier) => tier.open(this.#key));
    } finally {
      watch.done();
    }
    if (!watch.disturbed) return opened ?? "miss";
    if (opened !== undefined) void discardLoad(opened.answer);
    return "again";
  }

  async #load(opened: L2Load, tier: Tier): Promise<void> {
    const { tiers } = this.#context;
    const found = { meta: opened.meta, tiers: tiers.slice(tiers.indexOf(tier)), tier: tier.name };
    const staging = this.#reserve(opened.meta);
    if (staging === undefined) {
      this.#onFull();
      const [first, ...others] = this.#waiting.splice(0);
      first?.resolve(new BypassRead(this.#context, { ...found, key: this.#key, opened }));
      await Promise.all(others.map(async (reader) => reader.resolve(await this.#openAgain(tier, found))));
      return;
    }
    this.#found = found;
    this.#settle(() => this.#readOf(found));
    await this.#fill(staging, found, opened);
  }

  #reserve(meta: ObjectMeta): Staging | undefined {
    const { l1, publish } = this.#context;
    const { sizeBytes, contentType, sha256 } = meta;
    if (sizeBytes > l1.admissionLimitBytes) return undefined;
    const [staged] = l1.reserveWrite([{ key: this.#key, sizeBytes, contentType, sha256, loading: meta }], LOAD_TAG);
    if (staged === "no_room") publish("l1.allocation.failed", { during: "l2_prefetch", keys: 1, bytes: sizeBytes });
    return typeof staged === "object" ? staged : undefined;
  }

  /** The last bytes are shown only after the checksum of the whole was right: whoever gets all bytes has the right ones. */
  async #fill(staging: Staging, found: Found, opened: L2Load): Promise<void> {
    const { l1, keeper } = this.#context;
    const { lease, extents } = staging;
    const { meta } = found;
    keeper.keep(lease);
    try {
      let at = 0;
      let crc = 0;
      const request = { key: this.#key, meta, start: 0, end: meta.sizeBytes, tiers: found.tiers, opened };
      for await (const chunk of loadChunks(this.#context, request)) {
        // Renewed in the same turn as the copy: memory of a lease that has run out may belong to somebody else.
        if (!l1.renew(lease)) throw new VitrineError("tier_failed", "load object: its write lease has run out");
        if (this.#draining && this.#readers === 0) {
          throw new VitrineError("shutting_down", "load object: nobody wants it");
        }
        copyInto(extents, at, chunk);
        crc = crc32(chunk, crc);
        at += chunk.length;
        if (at < meta.sizeBytes) l1.filled(lease, at);
        this.#wake();
      }
      if (crc !== meta.crc32) throw new VitrineError("tier_failed", "load object: checksum mismatch");
      l1.filled(lease, at);
      const { sizeBytes, version, createdMs, expiresMs } = meta;
      const [outcome] = l1.finishWrite([{ lease, sizeBytes, crc32: crc, version, createdMs, expiresMs }], "keep");
      this.#failed = outcome === "stale";
    } catch {
      this.#failed = true;
      l1.abort([lease]);
    } finally {
      keeper.drop(lease);
      this.#onFull();
      this.#wake();
    }
  }

  #readOf(found: Found): ObjectRead {
    const following = this.#context.l1.follow(this.#key, LOAD_TAG);
    if (following === undefined) return this.#bypass(found);
    this.#readers += 1;
    const filling: Filling = {
      readableBytes: () => {
        const state = following.state();
        if (this.#failed || state === "failed") return undefined;
        return state === "done" ? found.meta.sizeBytes : following.filledBytes();
      },
      changed: () => this.#changed.promise,
    };
    return new MemoryRead(this.#context, {
      key: this.#key,
      resident: following,
      tier: found.tier,
      filling,
      onRelease: () => this.#readers -= 1,
    });
  }

  /** A stream past L1 serves one reader: each further one gets its own, opened before it is answered, so that a later change of the key cannot break it. */
  async #openAgain(tier: Tier, found: Found): Promise<Boarded> {
    const { meta } = found;
    const opened = await tier.openRange(this.#key, { start: 0, end: meta.sizeBytes }).catch(() => undefined);
    if (opened?.meta.version === meta.version) {
      return new BypassRead(this.#context, { ...found, key: this.#key, opened });
    }
    if (opened !== undefined) await discardLoad(opened);
    return "again";
  }

  #bypass(found: Found): ObjectRead {
    return new BypassRead(this.#context, { ...found, key: this.#key });
  }

  #settle(boarded: () => Boarded): void {
    for (const reader of this.#waiting.splice(0)) reader.resolve(boarded());
  }

  #wake(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
