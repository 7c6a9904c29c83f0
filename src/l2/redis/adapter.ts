import { crc32 } from "node:zlib";
import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import { isExpired, type ObjectKey, type ObjectMeta } from "../../core/object.ts";
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
  WholeObject,
} from "../adapter.ts";
import { assertAnnounced, Calls, rangeWithin, sourceOfWhole, watchSource } from "../calls.ts";
import type { DecodedMeta } from "../meta_record.ts";
import { type RemovedObject, reportRemoved, stateReport } from "../reports.ts";
import type { TierContext } from "../url.ts";
import { ChangeLog } from "./change_log.ts";
import { ChunkWriter, readChunks, type WrittenBytes } from "./chunks.ts";
import { connector } from "./connection.ts";
import { Engine } from "./engine.ts";
import { clearObjects, type Dropped, Indexes } from "./indexes.ts";
import { chunkCount, type IndexEntry, KeySpace, stateName } from "./layout.ts";
import { type Head, Objects } from "./objects.ts";
import type { RedisKind, RedisSettings } from "./settings.ts";
/** Entries of each shard's index that are checked when usage is measured. */
const SWEEP_ENTRIES = 200;
/**
 * After this many stores, this many entries of one shard are checked: more than were added, so that entries of objects
 * that the engine has evicted or expired do not pile up in the indexes.
 */
const [STORES_A_SWEEP, STORE_SWEEP_ENTRIES] = [16, 64];
/** Objects up to this size are stored in groups. */
const GROUP_LIMIT_BYTES = 128 * 1024;

/** Options of a RedisAdapter. */
export interface RedisAdapterOptions {
  readonly name: string;
  readonly engine: Engine;
  readonly keys: KeySpace;
  /** The server's id in the log of changes; "" if changes are neither logged nor followed. */
  readonly server: string;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener;
}

/**
 * Stores objects in a Valkey or Redis, which any number of servers may share. docs/L2_REDIS.md describes the data
 * layout and the guarantees between servers.
 */
export class RedisAdapter implements L2Adapter {
  readonly name: string;
  readonly isShared = true;
  readonly groupLimitBytes: number = GROUP_LIMIT_BYTES;
  readonly #options: RedisAdapterOptions;
  readonly #calls: Calls;
  readonly #objects: Objects;
  readonly #indexes: Indexes;
  #stores = 0;

  constructor(options: RedisAdapterOptions) {
    this.name = options.name;
    this.#options = options;
    this.#calls = new Calls(options.name);
    this.#objects = new Objects(options.engine, options.keys, options.server);
    this.#indexes = new Indexes(options.engine, options.keys);
  }

  get trouble(): string | undefined {
    return this.#options.engine.trouble;
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#calls.run("look up object", async () => await this.#live(key, await this.#objects.head(key)));
  }

  /** The commands of one turn of the event loop go out together: one round trip. */
  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    return await this.#calls.run(
      "look up objects",
      () => Promise.all(keys.map(async (key) => await this.#live(key, await this.#objects.head(key)) !== undefined)),
    );
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.#calls.run("load object", async () => {
      const head = await this.#objects.fullHead(key);
      const meta = await this.#live(key, head);
      if (head === undefined || meta === undefined) return undefined;
      const { start, end } = rangeWithin(range, meta.sizeBytes);
      const onBroken = (reason: TierRemovalReason) => this.#remove(key, { generation: head.generation, meta }, reason);
      if (chunkCount(meta.sizeBytes) > 0) {
        const isClosed = (): boolean => this.#calls.closed;
        const { generation } = head;
        const chunks = await readChunks(this.#objects, { key, generation, meta, start, end, isClosed, onBroken });
        return chunks && { meta, chunks };
      }
      const { bytes } = head;
      if (bytes?.length === meta.sizeBytes && crc32(bytes) === meta.crc32) {
        return { meta, chunks: this.#calls.loaded(bytes.subarray(start, end)) };
      }
      await onBroken("corrupt");
      return undefined;
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

  async storeWhole(key: ObjectKey, object: WholeObject): Promise<void> {
    await this.store(key, sourceOfWhole(object));
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.run("delete object", async () => {
      const ticket = await this.#objects.ticket(key);
      const { outcome, replaced } = await this.#objects.delete(key, ticket);
      if (outcome === "late") throw tooLate(this.name);
      // Another change came first. It has removed the object and published the removal.
      if (outcome === "superseded") return ticket.isThere;
      if (replaced === undefined) return false;
      return this.#reportReplaced(key, replaced, "deleted");
    });
  }

  async clear(tenant?: string): Promise<number> {
    return await this.#calls.run("clear tier", async () => {
      const { engine, keys, server } = this.#options;
      const removed: RemovedObject[] = [];
      const onRemoved = (dropped: Dropped): void => void removed.push(...removedIn(dropped));
      await clearObjects({ engine, keys, server, tenant, onRemoved });
      reportRemoved(this.#options, removed, "cleared");
      return removed.length;
    });
  }

  get followChanges(): L2Adapter["followChanges"] {
    const { engine, keys, server, publish } = this.#options;
    if (server === "") return undefined;
    return (onChange) => new ChangeLog({ tier: this.name, engine, keys, server, publish, onChange }).follow();
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("list objects", async () => {
      const found: { readonly key: string; readonly meta: ObjectMeta }[] = [];
      const wanted = query.limit + 1;
      for (let after = query.after, isEnd = false; !isEnd && found.length < wanted;) {
        const entries = await this.#indexes.page({ ...query, after, limit: wanted });
        const keys = entries.map(({ key }) => ({ tenant: query.tenant, key }));
        const heads = await Promise.all(keys.map((key) => this.#objects.head(key)));
        for (const [index, key] of keys.entries()) {
          const meta = await this.#live(key, heads[index]);
          if (meta !== undefined) found.push({ key: key.key, meta });
        }
        after = keys.at(-1)?.key ?? after;
        isEnd = entries.length < wanted;
      }
      return { entries: found.slice(0, query.limit), more: found.length > query.limit };
    });
  }

  async usage(): Promise<TierUsage> {
    return await this.#calls.run("measure tier", async () => {
      for (const dropped of await this.#indexes.sweep(SWEEP_ENTRIES)) this.#reportSwept(dropped);
      const { objects, bytes } = await this.#indexes.totals();
      return { objects, usedBytes: bytes, limitBytes: 0 };
    });
  }

  /** Does not wait for loads that are still being read; their next chunk fails. */
  async close(): Promise<void> {
    if (await this.#calls.close()) await this.#options.engine.close();
  }

  async #put(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const writer = new ChunkWriter(this.#objects, key, source.sizeBytes);
    let isDone = false;
    try {
      const written = await writer.write(source.chunks);
      const meta = source.meta();
      assertAnnounced(written, meta);
      isDone = await this.#commit(key, { source, written, meta });
      return meta;
    } finally {
      if (!isDone) await writer.abandon();
    }
  }

  /** Makes an object visible; returns false if a later change of the key was already made. */
  async #commit(
    key: ObjectKey,
    { source, written, meta }: {
      readonly source: StoreSource;
      readonly written: WrittenBytes;
      readonly meta: ObjectMeta;
    },
  ): Promise<boolean> {
    // The ticket is taken once the order of this key's changes is decided, so that the engine can reject a change that
    // arrives out of order: a store that timed out and arrives late.
    const ticket = await this.#objects.ticket(key);
    source.assertWanted?.();
    const { generation, bytes } = written;
    const nowMs = this.#options.clock.nowMs();
    const { outcome, replaced } = await this.#objects.commit(key, { ticket, generation, meta, bytes, nowMs });
    if (outcome === "late") throw tooLate(this.name);
    if (outcome === "lost") {
      throw new VitrineError("no_room", `store object: tier ${this.name}: the engine has evicted parts of it already`);
    }
    if (replaced !== undefined) this.#reportReplaced(key, replaced, "replaced");
    void this.#sweepSometimes(key);
    return outcome === "stored";
  }

  /** Returns the metadata of a readable object; removes an object that is damaged or expired. */
  async #live(key: ObjectKey, head: Head | undefined): Promise<ObjectMeta | undefined> {
    if (head === undefined || head.decoded === "newer") return undefined;
    const { decoded, generation } = head;
    if (decoded === "damaged") {
      await this.#remove(key, { generation }, "corrupt");
      return undefined;
    }
    const { meta } = decoded;
    if (!isExpired(meta, this.#options.clock.nowMs())) return meta;
    await this.#remove(key, { generation, meta }, "expired");
    return undefined;
  }

  async #remove(
    key: ObjectKey,
    { generation, meta }: { readonly generation: string; readonly meta?: ObjectMeta },
    reason: TierRemovalReason,
  ): Promise<void> {
    if (await this.#objects.remove(key, generation)) this.#reportOne(key, meta?.sizeBytes ?? 0, reason);
  }

  /** Publishes what a change has removed; returns false if that had expired or was damaged. */
  #reportReplaced(key: ObjectKey, old: DecodedMeta, reason: "replaced" | "deleted"): boolean {
    const meta = typeof old === "string" ? undefined : old.meta;
    const isOver = meta !== undefined && isExpired(meta, this.#options.clock.nowMs());
    this.#reportOne(key, meta?.sizeBytes ?? 0, old === "damaged" ? "corrupt" : isOver ? "expired" : reason);
    return !isOver && old !== "damaged";
  }

  /**
   * Sweeps the shard of a stored key after every STORES_A_SWEEP stores. Never throws, because a later sweep repeats the
   * work.
   */
  async #sweepSometimes(key: ObjectKey): Promise<void> {
    this.#stores += 1;
    if (this.#stores % STORES_A_SWEEP !== 0) return;
    const base = this.#options.keys.baseOf(key);
    await this.#indexes.sweepShard(base, STORE_SWEEP_ENTRIES).then((dropped) => this.#reportSwept(dropped), () => {});
  }

  #reportSwept({ tenant, entries }: Dropped): void {
    const nowMs = this.#options.clock.nowMs();
    const isOver = ({ expiresMs }: IndexEntry): boolean => expiresMs !== 0 && expiresMs <= nowMs;
    reportRemoved(this.#options, removedIn({ tenant, entries: entries.filter(isOver) }), "expired");
    const evicted = entries.filter((entry) => !isOver(entry));
    reportRemoved(this.#options, removedIn({ tenant, entries: evicted }), "capacity");
  }

  #reportOne(key: ObjectKey, bytes: number, reason: TierRemovalReason): void {
    reportRemoved(this.#options, [{ key, bytes }], reason);
  }
}

function removedIn({ tenant, entries }: Dropped): readonly RemovedObject[] {
  return entries.map(({ key, sizeBytes: bytes }) => ({ key: { tenant, key }, bytes }));
}

function tooLate(tier: string): VitrineError {
  return new VitrineError("tier_failed", `change object: tier ${tier}: the engine got it too late`);
}

/**
 * Number of shards of a tier; all servers that share one must agree. A single engine needs one. A cluster has more
 * shards than nodes, so that each node gets its share.
 */
const SHARDS: Readonly<Record<RedisKind, number>> = { single: 1, sentinel: 1, cluster: 64 };
/** Milliseconds for which a start waits for the engine before it continues without it. */
const PATIENCE_MS = 2000;

/** Opens a tier; succeeds even if the engine does not answer. */
export async function openRedis(
  settings: RedisSettings,
  { name, publish, clock, onRemoved }: Pick<TierContext, "name" | "publish" | "clock" | "onRemoved">,
): Promise<RedisAdapter> {
  const keys = new KeySpace(settings.prefix, SHARDS[settings.kind]);
  const engine = await Engine.open({
    tier: name,
    connect: connector(settings),
    names: keys.bases.map(stateName),
    onTrouble: stateReport({ name, publish }),
  }, PATIENCE_MS);
  const server = settings.isCoherent ? crypto.randomUUID() : "";
  return new RedisAdapter({ name, engine, keys, server, publish, clock, ...(onRemoved && { onRemoved }) });
}
