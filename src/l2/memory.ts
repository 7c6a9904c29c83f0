import { crc32 } from "node:zlib";
import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { isExpired, keyId, type ObjectKey, type ObjectMeta } from "../core/object.ts";
import type { EventMap } from "../events/catalogue.ts";
import type {
  L2Adapter,
  L2Load,
  ListPage,
  ListQuery,
  StoreSource,
  TierRemovalListener,
  TierRemovalReason,
  TierUsage,
} from "./adapter.ts";
import { assertAnnounced, Calls, watchSource } from "./calls.ts";
import { reportRemoved } from "./reports.ts";
import type { TierPlan, TierUrl } from "./url.ts";
const CHUNK_BYTES = 1024 * 1024;

/** Options of a MemoryAdapter. */
export interface MemoryAdapterOptions {
  readonly name: string;
  /** Maximum payload bytes; 0: no limit. Evicts the least recently loaded object first. */
  readonly limitBytes: number;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener;
}

interface Entry {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly bytes: Uint8Array;
}

/**
 * Stores objects in this thread's memory, for tests and trials. Volatile: the one exception to the contract that a
 * stored object survives kill -9.
 */
export class MemoryAdapter implements L2Adapter {
  readonly name: string;
  readonly #options: MemoryAdapterOptions;
  readonly #calls: Calls;
  /** Entries by key id, least recently used first. */
  readonly #entries: Map<string, Entry> = new Map();
  #usedBytes = 0;

  constructor(options: MemoryAdapterOptions) {
    this.name = options.name;
    this.#options = options;
    this.#calls = new Calls(options.name);
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#calls.run("look up object", async () => this.#findLive(key)?.meta);
  }

  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    return await this.#calls.run("look up objects", () => keys.map((key) => this.#findLive(key) !== undefined));
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.#calls.run("load object", async () => {
      const entry = this.#findLive(key);
      if (entry === undefined) return undefined;
      this.#entries.delete(keyId(key));
      this.#entries.set(keyId(key), entry);
      return { meta: entry.meta, chunks: this.#read(entry.bytes.subarray(range?.start, range?.end)) };
    });
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const watched = watchSource(source);
    return await this.#calls.run(
      "store object",
      () => this.#write(key, watched.source),
      (error) => watched.threw(error),
    );
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.run("delete object", async () => {
      const entry = this.#findLive(key);
      if (entry !== undefined) this.#remove([entry], "deleted");
      return entry !== undefined;
    });
  }

  async clear(tenant?: string): Promise<number> {
    return await this.#calls.run("clear tier", async () => {
      const entries = [...this.#entries.values()].filter((entry) =>
        tenant === undefined || entry.key.tenant === tenant
      );
      this.#remove(entries, "cleared");
      return entries.length;
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("list objects", async () => {
      const nowMs = this.#options.clock.nowMs();
      const entries = [...this.#entries.values()]
        .filter(({ key, meta }) =>
          key.tenant === query.tenant && key.key.startsWith(query.prefix) && !isExpired(meta, nowMs)
        )
        .map(({ key, meta }) => ({ key: key.key, meta }))
        .filter(({ key }) => compareBytes(key, query.after) > 0)
        .toSorted((a, b) => compareBytes(a.key, b.key));
      return { entries: entries.slice(0, query.limit), more: entries.length > query.limit };
    });
  }

  async usage(): Promise<TierUsage> {
    return await this.#calls.run("measure tier", async () => {
      const nowMs = this.#options.clock.nowMs();
      const oldestMs = this.#entries.values().reduce((oldest, { meta }) => Math.min(oldest, meta.createdMs), nowMs);
      return {
        objects: this.#entries.size,
        usedBytes: this.#usedBytes,
        limitBytes: this.#options.limitBytes,
        oldestAgeSeconds: (nowMs - oldestMs) / 1000,
      };
    });
  }

  async close(): Promise<void> {
    await this.#calls.close();
    this.#entries.clear();
    this.#usedBytes = 0;
  }

  #findLive(key: ObjectKey): Entry | undefined {
    const entry = this.#entries.get(keyId(key));
    if (entry === undefined || !isExpired(entry.meta, this.#options.clock.nowMs())) return entry;
    this.#remove([entry], "expired");
    return undefined;
  }

  async *#read(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      if (this.#calls.closed) throw new VitrineError("tier_failed", "load object: the tier is closed");
      yield bytes.slice(at, at + CHUNK_BYTES);
    }
  }

  async #write(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const bytes = await this.#collect(source);
    const meta = source.meta();
    assertAnnounced({ sizeBytes: bytes.length, crc: crc32(bytes) }, meta);
    source.assertWanted?.();
    const old = this.#entries.get(keyId(key));
    this.#makeRoom(bytes.length - (old?.bytes.length ?? 0), keyId(key));
    if (old !== undefined) {
      this.#remove([old], isExpired(old.meta, this.#options.clock.nowMs()) ? "expired" : "replaced");
    }
    this.#entries.set(keyId(key), { key, meta, bytes });
    this.#usedBytes += bytes.length;
    return meta;
  }

  async #collect(source: StoreSource): Promise<Uint8Array> {
    this.#checkSize(source.sizeBytes ?? 0);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of source.chunks) {
      sizeBytes += chunk.length;
      this.#checkSize(sizeBytes);
      chunks.push(chunk.slice());
    }
    const bytes = new Uint8Array(sizeBytes);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  #checkSize(sizeBytes: number): void {
    const { limitBytes } = this.#options;
    if (limitBytes === 0 || sizeBytes <= limitBytes) return;
    throw new VitrineError("no_room", `make room: ${sizeBytes} bytes`, {
      details: { limitBytes, neededBytes: sizeBytes },
    });
  }

  #makeRoom(bytes: number, except: string): void {
    const { limitBytes, clock } = this.#options;
    if (limitBytes === 0 || this.#usedBytes + bytes <= limitBytes) return;
    const nowMs = clock.nowMs();
    this.#remove([...this.#entries.values()].filter(({ meta }) => isExpired(meta, nowMs)), "expired");
    const victims: Entry[] = [];
    let freed = 0;
    for (const [id, entry] of this.#entries) {
      if (this.#usedBytes + bytes - freed <= limitBytes) break;
      if (id === except) continue;
      victims.push(entry);
      freed += entry.bytes.length;
    }
    this.#remove(victims, "capacity");
  }

  #remove(entries: readonly Entry[], reason: TierRemovalReason): void {
    for (const { key, bytes } of entries) {
      this.#entries.delete(keyId(key));
      this.#usedBytes -= bytes.length;
    }
    reportRemoved(this.#options, entries.map(({ key, bytes }) => ({ key, bytes: bytes.length })), reason);
  }
}

/** Parses `memory://`. Parameter: `max` (size limit, default none). */
export function planMemoryUrl(url: TierUrl): TierPlan {
  const limitBytes = url.takeBytes("max") ?? 0;
  url.finish();
  return { open: (context) => Promise.resolve(new MemoryAdapter({ ...context, limitBytes })) };
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
