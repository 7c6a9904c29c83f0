import { crc32 } from "node:zlib";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type {
  L2Adapter,
  L2Load,
  L2Reader,
  ListPage,
  ListQuery,
  StoreSource,
  TierUsage,
  WholeObject,
} from "../adapter.ts";
import { assertAnnounced, Calls, rangeWithin, type WatchedSource, watchSource } from "../calls.ts";
import { type Disk, openDisk } from "./disk.ts";
import { type ChangeCalls, type FolderCalls, type IndexRow, isSameRow, type StoreCalls } from "./folder_calls.ts";
import { Layout } from "./layout.ts";
import { LocalFiles, type ObjectFiles } from "./object_files.ts";
import { BlockReader, SegmentReader } from "./readers.ts";
import { type FileStore, type FileStoreOptions, recordLimitBytes } from "./store/file_store.ts";
import { openFileStore } from "./store/open_store.ts";
import { payloadOf } from "./store/reclaim.ts";
import type { Recovery } from "./store/recover.ts";

/** Options of a FileReader. */
export interface FileReaderOptions<Folder extends FolderCalls = FolderCalls> {
  readonly name: string;
  /** The path of the folder, the same as its owner's. */
  readonly path: string;
  readonly sync: boolean;
  /** The owner of the folder, in this thread or another. */
  readonly folder: Folder;
  /** The file system for reading objects and writing large ones (default: the real one). */
  readonly disk?: Disk | undefined;
}

/**
 * Reads the objects of a folder. The folder's owner knows where they are; each thread reads the bytes itself, so that
 * no thread waits for another thread's disk operations. docs/L2_FILE.md describes the folder.
 */
export class FileReader implements L2Reader {
  readonly name: string;
  protected readonly calls: Calls;
  protected readonly disk: Disk;
  protected readonly layout: Layout;
  readonly #segments: SegmentReader;
  readonly #folder: FolderCalls;

  constructor({ name, path, sync, folder, disk = openDisk({ sync }) }: FileReaderOptions) {
    this.name = name;
    this.calls = new Calls(name);
    this.disk = disk;
    this.layout = new Layout(path);
    this.#segments = new SegmentReader(this.disk, this.layout);
    this.#folder = folder;
  }

  get trouble(): string | undefined {
    return this.#folder.trouble;
  }

  /** Closes a segment whose file was removed. */
  forgetSegment(segment: number): void {
    this.#segments.forget(segment);
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.calls.run("look up object", async () => (await this.#folder.find(key, false))?.meta);
  }

  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    return await this.calls.run("look up objects", () => this.#folder.has(keys));
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.read(key, { range, use: true });
  }

  /** `use`: record a use for the eviction order. */
  protected async read(
    key: ObjectKey,
    { range, use }: {
      readonly range?: { readonly start: number; readonly end: number } | undefined;
      readonly use: boolean;
    },
  ): Promise<L2Load | undefined> {
    return await this.calls.run("load object", async () => {
      for (;;) {
        const row = await this.#folder.find(key, use);
        if (row === undefined) return undefined;
        const load = await this.#open(row, rangeWithin(range, row.meta.sizeBytes));
        if (load !== undefined) return load;
        // The object may have been replaced, moved or removed meanwhile. It is damaged only if the index still has the
        // same entry.
        if (await this.#isStill(row)) await this.#folder.damaged(row);
      }
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.calls.run("list objects", () => this.#folder.list(query));
  }

  async usage(): Promise<TierUsage> {
    return await this.calls.run("measure tier", () => this.#folder.usage());
  }

  /** Does not wait for loads that are still being read; their next block fails. */
  async close(): Promise<void> {
    if (await this.calls.close()) this.#segments.close();
  }

  async #open(row: IndexRow, range: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    if (row.file === undefined) {
      let payload = await this.#readRecord(row);
      if (payload === undefined) {
        // This thread may have an older file with the same segment number open, because the owner's notice of its
        // removal can get lost.
        this.#segments.forget(row.record.segment);
        payload = await this.#readRecord(row);
      }
      return payload && { meta: row.meta, chunks: this.calls.loaded(payload.subarray(range.start, range.end)) };
    }
    const file = await this.disk.open(this.layout.objectPath(row.file.name));
    const chunks = file && await BlockReader.start(file, row, {
      range,
      onDamage: () => this.#folder.damaged(row),
      isClosed: () => this.calls.closed,
    });
    return chunks && { meta: row.meta, chunks };
  }

  async #readRecord(row: IndexRow): Promise<Uint8Array | undefined> {
    const { segment, offset, bytes: length } = row.record;
    const bytes = await this.#segments.read(segment, offset, length);
    return bytes === undefined ? undefined : payloadOf(bytes, row);
  }

  async #isStill(row: IndexRow): Promise<boolean> {
    const now = await this.#folder.find(row.key, false);
    return now !== undefined && isSameRow(now, row);
  }
}

/** Number of keys in one page. */
const KEYS_A_PAGE = 500;

/** The folder of an adapter: one of its own thread, or one of another thread with the way to its files. */
export type AdapterFolder =
  | { readonly folder: StoreCalls; readonly files?: undefined }
  | { readonly folder: ChangeCalls; readonly files: ObjectFiles };

/** Options of a FileAdapter. */
export type FileAdapterOptions = Omit<FileReaderOptions, "folder"> & AdapterFolder & {
  readonly limitBytes: number | undefined;
  /** Maximum size of an object that is stored in a segment (default: 128 KiB, or none under a small limit). */
  readonly recordLimitBytes?: number | undefined;
};

/** Stores objects in a folder, for the thread that owns the tiers. */
export class FileAdapter extends FileReader implements L2Adapter {
  readonly groupLimitBytes: number;
  readonly #store: ChangeCalls;
  readonly #files: ObjectFiles;

  constructor(options: FileAdapterOptions) {
    super(options);
    this.#store = options.folder;
    const { disk, layout } = this;
    this.#files = options.files ?? new LocalFiles({ disk, layout, folder: options.folder });
    this.groupLimitBytes = options.recordLimitBytes ?? recordLimitBytes(options.limitBytes ?? 0);
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const watched = watchSource(source);
    return await this.calls.run("store object", () => this.#put(key, watched), (error) => watched.threw(error));
  }

  async storeWhole(key: ObjectKey, object: WholeObject): Promise<void> {
    let refusal: { readonly error: unknown } | undefined;
    await this.calls.run("store object", async () => {
      const payload = copyOf(object.extents);
      assertAnnounced(sumOf(payload), object.meta);
      try {
        object.assertWanted();
      } catch (error) {
        refusal = { error };
        throw error;
      }
      const { meta, durable } = object;
      await this.#store.change({ kind: "record", key, meta, payload, durable });
    }, (error) => error === refusal?.error);
  }

  async *keys(): AsyncGenerator<readonly ObjectKey[], void, void> {
    for (let after = 0;;) {
      const page = await this.#store.keys(after, KEYS_A_PAGE);
      if (page.keys.length === 0) return;
      yield page.keys;
      after = page.last;
    }
  }

  async peek(key: ObjectKey): Promise<L2Load | undefined> {
    return await this.read(key, { use: false });
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.calls.run(
      "delete object",
      () => this.#store.change({ kind: "delete", key, durable: true }),
    );
  }

  async clear(tenant?: string, onInvisible?: () => void): Promise<number> {
    return await this.calls.run("clear tier", () => this.#store.clear(tenant, onInvisible));
  }

  override async close(): Promise<void> {
    if (this.calls.closed) return;
    await super.close();
    await this.#store.close();
  }

  async #put(key: ObjectKey, { source }: WatchedSource): Promise<ObjectMeta> {
    const durable = source.durable ?? true;
    const { payload, rest } = await this.#gather(source);
    if (payload === undefined) return await this.#files.put(key, { ...source, chunks: rest }, durable);
    const meta = source.meta();
    assertAnnounced(sumOf(payload), meta);
    if (source.whenWanted !== undefined) await source.whenWanted();
    source.assertWanted?.();
    await this.#store.change({ kind: "record", key, meta, payload, durable });
    return meta;
  }

  /** Reads a small object completely; a larger one is returned as a stream that starts with the bytes read so far. */
  async #gather(
    source: StoreSource,
  ): Promise<
    | { readonly payload: Uint8Array; readonly rest?: undefined }
    | { readonly payload?: undefined; readonly rest: AsyncIterable<Uint8Array> }
  > {
    const limit = this.groupLimitBytes;
    if (limit === 0 || (source.sizeBytes ?? 0) > limit) return { rest: source.chunks };
    const chunks = source.chunks[Symbol.asyncIterator]();
    let payload = new Uint8Array(source.sizeBytes ?? 0);
    let length = 0;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      const needed = length + next.value.length;
      if (needed > limit) return { rest: joined([payload.subarray(0, length), next.value], chunks) };
      if (needed > payload.length) payload = grown(payload, Math.min(limit, Math.max(needed, 2 * payload.length)));
      payload.set(next.value, length);
      length = needed;
    }
    return { payload: payload.subarray(0, length) };
  }
}

/** A folder that this thread owns, and the adapter for it. For tests and for single-isolate servers. */
export interface OwnFolder {
  readonly adapter: FileAdapter;
  readonly store: FileStore;
  readonly recovery: Recovery;
}

/** Opens a folder in this thread; disk operations block its event loop. Throws tier_failed. */
export function openOwnFolder(
  options: Omit<FileStoreOptions, "disk"> & {
    readonly disk?: Disk | undefined;
    readonly blockingDisk?: FileStoreOptions["disk"];
    readonly recordLimitBytes?: number | undefined;
  },
): OwnFolder {
  const { disk, blockingDisk, ...rest } = options;
  const opened: { adapter?: FileAdapter } = {};
  // Segments may be dropped while the folder is being opened.
  const onSegmentDropped = (segment: number): void => opened.adapter?.forgetSegment(segment);
  const store = openFileStore({ ...rest, disk: blockingDisk, onSegmentDropped });
  const adapter = new FileAdapter({ ...rest, disk, folder: store });
  opened.adapter = adapter;
  return { adapter, store, recovery: store.recovery };
}

function sumOf(payload: Uint8Array) {
  return { sizeBytes: payload.length, crc: crc32(payload) };
}

function copyOf(extents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(extents.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const extent of extents) {
    copy.set(extent, at);
    at += extent.length;
  }
  return copy;
}

function grown(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}

async function* joined(
  first: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
