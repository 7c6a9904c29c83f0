import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import type { Publish } from "../../core/events.ts";
import { isExpired, keyId, type ObjectKey, type ObjectMeta } from "../../core/object.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type {
  L2Adapter,
  L2Load,
  ListPage,
  ListQuery,
  StoreSource,
  TierRemovalListener,
  TierRemovalReason,
  TierUsage,
} from "../adapter.ts";
import { assertAnnounced, Calls, rangeWithin, watchSource } from "../calls.ts";
import { encodeMeta } from "../meta_record.ts";
import { reportRemoved, stateReport } from "../reports.ts";
import type { TierContext } from "../url.ts";
import { BodyWriter, DeadUploads, Slots } from "./body_writer.ts";
import { Bucket, type Condition } from "./bucket.ts";
import { credentialSource, failureOf, S3Client, S3Failure } from "./client.ts";
import { Health } from "../health.ts";
import { FRAME_BYTES, NameSpace } from "./layout.ts";
import {
  clearObjects,
  listedBodies,
  listedObjects,
  type ListingContext,
  type Totals,
  UsageCounter,
} from "./listing.ts";
import { FIELDS, type Head, keyField, newGeneration, Objects, readFrames, WINDOW } from "./objects.ts";
import type { S3Settings } from "./settings.ts";

/** Number of times that a store may find that another server has changed the object meanwhile. */
const ATTEMPTS = 5;
/** Maximum number of parts in flight, and of requests for many keys or for the objects of a listing. */
const [PARTS_IN_FLIGHT, LOOKUPS_IN_FLIGHT] = [8, 32];

/** Options of an S3Adapter. */
export interface S3AdapterOptions {
  readonly name: string;
  readonly bucket: Bucket;
  readonly names: NameSpace;
  readonly usageMs: number;
  /** As in L2Reader. */
  readonly maxAgeMs?: number | undefined;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener | undefined;
}

/**
 * Stores objects in a bucket, which any number of servers may share. docs/L2_S3.md describes the layout and the
 * guarantees between servers.
 */
export class S3Adapter implements L2Adapter {
  readonly name: string;
  readonly isShared = true;
  readonly maxAgeMs: number | undefined;
  readonly #options: S3AdapterOptions;
  readonly #calls: Calls;
  readonly #objects: Objects;
  readonly #usage: UsageCounter;
  readonly #deadUploads: DeadUploads;
  readonly #listing: ListingContext;
  /** Lookups of many keys, and those of a listing. */
  readonly #lookups: Slots;
  readonly #parts = new Slots(PARTS_IN_FLIGHT);
  /** Commits under way, by key: calls that begin later wait, so that they see the new object. */
  readonly #commits = new Map<string, Promise<unknown>>();

  constructor(options: S3AdapterOptions) {
    const { name, bucket, names, usageMs, clock } = options;
    this.name = name;
    this.maxAgeMs = options.maxAgeMs;
    this.#options = options;
    this.#calls = new Calls(name);
    this.#objects = new Objects(bucket, names);
    this.#lookups = new Slots(LOOKUPS_IN_FLIGHT);
    this.#listing = { bucket, names, objects: this.#objects, slots: this.#lookups };
    this.#deadUploads = new DeadUploads(bucket, { prefix: names.prefix, nowMs: Date.now });
    this.#usage = new UsageCounter({
      count: () => this.#count(),
      periodMs: usageMs,
      monotonicMs: () => clock.monotonicMs(),
    });
  }

  get trouble(): string | undefined {
    return this.#options.bucket.trouble;
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#calls.run("look up object", async () => {
      await this.#commits.get(keyId(key));
      return await this.#live(key, await this.#objects.head(key));
    });
  }

  /** A request for each key, because a bucket can tell no others; none begins after one has failed. */
  async has(keys: readonly ObjectKey[], onProgress: () => void = () => {}): Promise<readonly boolean[]> {
    return await this.#calls.run("look up objects", async () => {
      let hasFailed = false;
      return await this.#lookups.map(keys, async (key) => {
        if (hasFailed) return false;
        try {
          await this.#commits.get(keyId(key));
          const meta = await this.#live(key, await this.#objects.head(key));
          onProgress();
          return meta !== undefined;
        } catch (error) {
          hasFailed = true;
          throw error;
        }
      });
    });
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.#calls.run("load object", async () => {
      await this.#commits.get(keyId(key));
      const first = Math.floor((range?.start ?? 0) / FRAME_BYTES);
      const last = Math.ceil((range?.end ?? Infinity) / FRAME_BYTES);
      const window = { first, end: Math.max(first + 1, Math.min(last, first + WINDOW)) };
      const found = await this.#objects.headAndFrames(key, window);
      const meta = await this.#live(key, found?.head);
      if (found === undefined || meta === undefined) return undefined;
      const { start, end } = rangeWithin(range, meta.sizeBytes);
      if (range !== undefined && start === end) return { meta, chunks: this.#calls.loaded(new Uint8Array()) };
      const { head, frames } = found;
      const chunks = await readFrames(this.#objects, {
        key,
        etag: head.etag,
        generation: head.generation,
        sizeBytes: meta.sizeBytes,
        start,
        end,
        frames,
        isClosed: () => this.#calls.closed,
        onBroken: () => this.#remove(key, head, "corrupt"),
      });
      return chunks && { meta, chunks };
    });
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const watched = watchSource(source);
    return await this.#calls.run(
      "store object",
      () => this.#put(key, watched.source),
      (error) => watched.threw(error),
    );
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.run("delete object", async () => {
      await this.#commits.get(keyId(key));
      const head = await this.#objects.head(key);
      const meta = await this.#live(key, head);
      if (head === undefined || meta === undefined) return false;
      // If another change came first, it has removed the object and told of it.
      await this.#remove(key, head, "deleted");
      return true;
    });
  }

  async clear(tenant?: string): Promise<number> {
    return await this.#calls.run("clear tier", async () => {
      let count = 0;
      for await (const removed of clearObjects(this.#listing, tenant)) {
        count += removed.length;
        for (const { bodyBytes } of removed) this.#usage.change({ objects: -1, bytes: -bodyBytes });
        reportRemoved(this.#options, removed, "cleared");
      }
      return count;
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("list objects", async () => {
      const entries: { readonly key: string; readonly meta: ObjectMeta }[] = [];
      for await (const group of listedObjects(this.#listing, query)) {
        for (const { key, head } of group) {
          const meta = await this.#live(key, head);
          if (meta !== undefined) entries.push({ key: key.key, meta });
        }
        if (entries.length > query.limit) break;
      }
      return { entries: entries.slice(0, query.limit), more: entries.length > query.limit };
    });
  }

  async usage(): Promise<TierUsage> {
    return await this.#calls.run("measure tier", async () => {
      if (this.trouble !== undefined) throw new S3Failure(this.trouble);
      const { objects, bytes } = await this.#usage.totals();
      return { objects, usedBytes: bytes, limitBytes: 0 };
    });
  }

  /** Does not wait for loads that are still being read; their next chunk fails. */
  async close(): Promise<void> {
    if (await this.#calls.close()) await this.#options.bucket.close();
  }

  async #put(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const { bucket, names } = this.#options;
    const generation = newGeneration();
    const writer = new BodyWriter({
      bucket,
      name: names.nameOf(key),
      generation,
      fields: { ...keyField(names, key), [FIELDS.generation]: generation },
      sizeBytes: source.sizeBytes,
      onUpload: () => void this.#deadUploads.remove(),
      slots: this.#parts,
    });
    try {
      const written = await writer.write(source.chunks);
      const meta = source.meta();
      assertAnnounced(written, meta);
      await writer.seal(encodeMeta(meta));
      await this.#commit(key, { source, writer, meta, generation });
      return meta;
    } finally {
      await writer.abandon();
    }
  }

  /** Makes the object visible, unless another server has stored a newer one meanwhile. */
  async #commit(
    key: ObjectKey,
    { source, writer, meta, generation }: {
      readonly source: StoreSource;
      readonly writer: BodyWriter;
      readonly meta: ObjectMeta;
      readonly generation: string;
    },
  ): Promise<void> {
    let replaced: Head | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const head = await this.#objects.head(key);
      // The response to the commit was lost, and its repetition has met what it had made.
      if (head?.generation === generation) return this.#stored(key, { writer, replaced });
      replaced = head;
      source.assertWanted?.({ meta: this.#readable(head) });
      if (attempt > 0 && isNewer(head, meta)) return;
      const condition: Condition = head === undefined ? "absent" : { etag: head.etag };
      const outcome = await this.#committing(key, writer.commit(condition));
      if (outcome === true) return this.#stored(key, { writer, replaced });
    }
    throw new S3Failure("commit object: others change it all the time, or its parts are gone");
  }

  async #committing<T>(key: ObjectKey, commit: Promise<T>): Promise<T> {
    const id = keyId(key);
    const settled = commit.catch(() => {});
    this.#commits.set(id, settled);
    try {
      return await commit;
    } finally {
      if (this.#commits.get(id) === settled) this.#commits.delete(id);
    }
  }

  #stored(
    key: ObjectKey,
    { writer, replaced }: { readonly writer: BodyWriter; readonly replaced: Head | undefined },
  ): void {
    this.#usage.change({
      objects: replaced === undefined ? 1 : 0,
      bytes: writer.bodyBytes - (replaced?.bodyBytes ?? 0),
    });
    if (replaced === undefined || replaced.decoded === "foreign") return;
    const { decoded } = replaced;
    const meta = typeof decoded === "string" ? undefined : decoded.meta;
    const isOver = meta !== undefined && isExpired(meta, this.#options.clock.nowMs());
    const reason = decoded === "damaged" ? "corrupt" : isOver ? "expired" : "replaced";
    reportRemoved(this.#options, [{ key, bytes: meta?.sizeBytes ?? 0 }], reason);
  }

  /** Returns the metadata of a readable object; removes an object that is damaged or expired. */
  async #live(key: ObjectKey, head: Head | undefined): Promise<ObjectMeta | undefined> {
    const meta = this.#readable(head);
    if (meta !== undefined || head === undefined || head.decoded === "newer" || head.decoded === "foreign") return meta;
    await this.#remove(key, head, head.decoded === "damaged" ? "corrupt" : "expired");
    return undefined;
  }

  /** The metadata of a whole object of ours that has not expired. */
  #readable(head: Head | undefined): ObjectMeta | undefined {
    if (head === undefined || typeof head.decoded === "string") return undefined;
    const { meta } = head.decoded;
    return isExpired(meta, this.#options.clock.nowMs()) ? undefined : meta;
  }

  /** Removes an object, unless it was replaced. */
  async #remove(key: ObjectKey, { etag, decoded, bodyBytes }: Head, reason: TierRemovalReason): Promise<void> {
    const { bucket, names } = this.#options;
    if (!await bucket.delete(names.nameOf(key), etag)) return;
    this.#usage.change({ objects: -1, bytes: -bodyBytes });
    reportRemoved(this.#options, [{ key, bytes: typeof decoded === "string" ? 0 : decoded.meta.sizeBytes }], reason);
  }

  async #count(): Promise<Totals> {
    const { bucket, names } = this.#options;
    const totals = { objects: 0, bytes: 0 };
    for await (const page of listedBodies(bucket, { prefix: `${names.prefix}/` })) {
      for (const { name, bytes } of page) {
        if (names.parse(name) === undefined) continue;
        totals.objects += 1;
        totals.bytes += bytes;
      }
    }
    return totals;
  }
}

function isNewer(head: Head | undefined, { version }: ObjectMeta): boolean {
  return head !== undefined && typeof head.decoded !== "string" && head.decoded.meta.version > version;
}

/** Milliseconds for which a start waits for the store before it continues without it, and that a probe may take. */
const [PATIENCE_MS, PROBE_MS] = [2000, 5000];

/** Opens a tier; succeeds even if the store does not answer. */
export async function openS3(
  settings: S3Settings,
  { name, publish, clock, onRemoved }: Pick<TierContext, "name" | "publish" | "clock" | "onRemoved">,
): Promise<S3Adapter> {
  const client = new S3Client({
    settings,
    credentials: credentialSource(process.env),
    nowMs: Date.now,
    onSlow: () => health.check(),
  });
  const health = new Health({
    probe: async () => {
      // Without the right to list, a store says 403 for what it does not have, and a miss could not be told.
      const reply = await client.send({ method: "GET", name: `${settings.prefix}/no-object`, onceMs: PROBE_MS });
      if (reply.status >= 300 && reply.code !== "NoSuchKey") throw failureOf(`use bucket ${settings.bucket}`, reply);
    },
    onTrouble: stateReport({ name, publish }),
  });
  const bucket = new Bucket(client, health);
  const names = new NameSpace(settings.prefix);
  await Promise.race([health.answered, wait(PATIENCE_MS, undefined, { ref: false })]);
  const { usageMs, maxAgeMs } = settings;
  return new S3Adapter({ name, bucket, names, usageMs, maxAgeMs, publish, clock, onRemoved });
}
