import { VitrineError } from "../../src/core/errors.ts";
import { compareKeys, keyId, type ObjectKey, type ObjectMeta } from "../../src/core/object.ts";
import type {
  L2Adapter,
  L2Load,
  ListPage,
  ListQuery,
  StoreSource,
  TierUsage,
  WholeObject,
} from "../../src/l2/adapter.ts";

/** The calls of an adapter that can be held up or made to fail. */
export type Step = "lookup" | "load" | "chunk" | "store" | "meta" | "commit" | "delete" | "clear" | "list" | "usage";

/** An object as a MapAdapter keeps it. */
export interface Stored {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly bytes: Uint8Array;
}

/** An adapter over a Map in which every step passes through `gate`: a test decides there when it goes on, or throws. */
export class MapAdapter implements L2Adapter {
  readonly name: string;
  readonly objects: Map<string, Stored>;
  readonly calls: Step[] = [];
  readonly #chunkBytes: number;
  gate: (step: Step, key: string) => Promise<void> | void = () => {};
  closed = false;
  readonly takesStores: boolean;
  readonly maxAgeMs: number | undefined;
  readonly isShared: boolean;
  /** Why it cannot be used; every store then fails. */
  trouble: string | undefined;

  /** Adapters with one `objects` are views of one store. */
  constructor(
    name: string,
    options: {
      readonly chunkBytes?: number;
      readonly objects?: Map<string, Stored>;
      readonly takesStores?: boolean;
      /** Set: other servers change it unnoticed. */
      readonly maxAgeMs?: number | undefined;
    } = {},
  ) {
    this.name = name;
    this.takesStores = options.takesStores ?? true;
    this.maxAgeMs = options.maxAgeMs;
    this.isShared = options.maxAgeMs !== undefined;
    this.objects = options.objects ?? new Map();
    this.#chunkBytes = options.chunkBytes ?? 16;
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    await this.#pass("lookup", key.key);
    const meta = this.objects.get(keyId(key))?.meta;
    await this.gate("lookup", key.key);
    return meta;
  }

  /** Passes the gate for each key, one after the other. */
  async has(keys: readonly ObjectKey[], onProgress: () => void = () => {}): Promise<readonly boolean[]> {
    const held: boolean[] = [];
    for (const key of keys) {
      held.push(await this.lookup(key) !== undefined);
      onProgress();
    }
    return held;
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    await this.#pass("load", key.key);
    const stored = this.objects.get(keyId(key));
    await this.gate("load", key.key);
    return stored && { meta: stored.meta, chunks: this.#chunks(stored, range) };
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    await this.#pass("store", key.key);
    const bytes: number[] = [];
    for await (const chunk of source.chunks) {
      await this.gate("chunk", key.key);
      for (const byte of chunk) bytes.push(byte);
    }
    const meta = source.meta();
    if (bytes.length !== meta.sizeBytes) throw new VitrineError("tier_failed", "store: wrong length");
    await this.gate("meta", key.key);
    source.assertWanted?.({ meta: this.objects.get(keyId(key))?.meta });
    this.objects.set(keyId(key), { key, meta, bytes: Uint8Array.from(bytes) });
    await this.gate("commit", key.key);
    return meta;
  }

  async delete(key: ObjectKey): Promise<boolean> {
    await this.#pass("delete", key.key);
    return this.objects.delete(keyId(key));
  }

  async clear(tenant?: string): Promise<number> {
    await this.#pass("clear", "");
    let cleared = 0;
    for (const [id, { key }] of this.objects) {
      if ((tenant === undefined || key.tenant === tenant) && this.objects.delete(id)) cleared += 1;
    }
    return cleared;
  }

  async list({ tenant, prefix, limit, after }: ListQuery): Promise<ListPage> {
    await this.#pass("list", "");
    const entries = [...this.objects.values()]
      .filter(({ key }) => key.tenant === tenant && key.key.startsWith(prefix) && compareKeys(key.key, after) > 0)
      .map(({ key, meta }) => ({ key: key.key, meta }))
      .sort((a, b) => compareKeys(a.key, b.key));
    return { entries: entries.slice(0, limit), more: entries.length > limit };
  }

  async usage(): Promise<TierUsage> {
    await this.#pass("usage", "");
    return { objects: this.objects.size, usedBytes: 0, limitBytes: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async *#chunks(
    { key, bytes }: Stored,
    range: { readonly start: number; readonly end: number } = { start: 0, end: bytes.length },
  ): AsyncGenerator<Uint8Array, void, void> {
    for (let at = range.start; at < range.end; at += this.#chunkBytes) {
      await this.#pass("chunk", key.key);
      yield bytes.slice(at, Math.min(range.end, at + this.#chunkBytes));
    }
  }

  async #pass(step: Step, key: string): Promise<void> {
    this.calls.push(step);
    await this.gate(step, key);
    if (step === "store") this.assertUsable();
  }

  protected assertUsable(): void {
    if (this.trouble !== undefined) throw new VitrineError("tier_failed", `store: ${this.trouble}`);
  }
}

/** One that nobody else uses, and that takes small objects whole. */
export class OwnMapAdapter extends MapAdapter {
  readonly groupLimitBytes = 4096;

  async *keys(): AsyncGenerator<readonly ObjectKey[], void, void> {
    yield [...this.objects.values()].map(({ key }) => key);
  }

  async storeWhole(key: ObjectKey, object: WholeObject): Promise<void> {
    const { meta, extents } = object;
    this.calls.push("store");
    await this.gate("store", key.key);
    this.assertUsable();
    const bytes = Uint8Array.from(extents.flatMap((extent) => [...extent]));
    if (bytes.length !== meta.sizeBytes) throw new VitrineError("tier_failed", "store: wrong length");
    await this.gate("meta", key.key);
    object.assertWanted();
    this.objects.set(keyId(key), { key, meta, bytes });
    await this.gate("commit", key.key);
  }
}
