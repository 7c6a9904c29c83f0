import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { L2Adapter, StoreSource, WholeObject } from "../adapter.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { FileReader, type FileReaderOptions } from "./file_reader.ts";
import { FileStore, type FileStoreOptions, recordLimitBytes } from "./store/file_store.ts";
import type { Recovery } from "./store/recover.ts";
import type { StoreCalls } from "./store_calls.ts";
import { ObjectWriter, WriteBuffers } from "./writer.ts";
import { type WatchedSource, watchSource } from "../source.ts";

/** Number of keys in one page. */
const KEYS_A_PAGE = 500;

/** Options of a FileAdapter. */
export interface FileAdapterOptions extends FileReaderOptions<StoreCalls> {
  readonly limitBytes: number | undefined;
  /** Maximum size of an object that is stored in a segment (default: 128 KiB, or none under a small limit). */
  readonly recordLimitBytes?: number | undefined;
}

/** Stores objects in a folder, for the thread that owns the folder. */
export class FileAdapter extends FileReader implements L2Adapter {
  readonly groupLimitBytes: number;
  readonly #store: StoreCalls;
  readonly #buffers = new WriteBuffers();

  constructor(options: FileAdapterOptions) {
    super(options);
    this.#store = options.folder;
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
      assertRight(payload, object.meta);
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
    if (payload === undefined) return await this.#putFile(key, { ...source, chunks: rest }, durable);
    const meta = source.meta();
    assertRight(payload, meta);
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

  /**
   * Stores an object in a file. Afterwards the object is visible and as durable as requested, or nothing has changed.
   */
  async #putFile(key: ObjectKey, source: StoreSource, durable: boolean): Promise<ObjectMeta> {
    const tempPath = this.layout.tempPath();
    const file = await this.disk.create(tempPath);
    const writer = new ObjectWriter(file, { room: this.#store, buffers: this.#buffers });
    let isHandedOver = false;
    try {
      const { meta, fileBytes: bytes } = await writeAndClose(file, () => writer.write(key, source), durable);
      source.assertWanted?.();
      isHandedOver = true;
      await this.#store.change({ kind: "file", key, meta, tempPath, bytes, heldBytes: writer.heldBytes, durable });
      return meta;
    } catch (error) {
      // The first failure is the one to report; a temp file that cannot be removed now is removed at the next start.
      await this.disk.remove(tempPath).catch(() => undefined);
      if (!isHandedOver) this.#store.release(writer.heldBytes);
      throw error;
    }
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
  const store = new FileStore({ ...rest, disk: blockingDisk, onSegmentDropped });
  const adapter = new FileAdapter({ ...rest, disk, folder: store });
  opened.adapter = adapter;
  return { adapter, store, recovery: store.recovery };
}

/** Returns the result of `write` once the file is closed, and synced first if `durable`. */
async function writeAndClose<T>(file: DiskFile, write: () => Promise<T>, durable: boolean): Promise<T> {
  try {
    const written = await write();
    if (durable) await file.sync();
    return written;
  } finally {
    await file.close();
  }
}

function assertRight(payload: Uint8Array, meta: ObjectMeta): void {
  const crc = crc32(payload);
  if (meta.sizeBytes === payload.length && meta.crc32 === crc) return;
  throw new VitrineError(
    "tier_failed",
    `store object: ${payload.length} bytes with checksum ${crc} came, ${meta.sizeBytes} with ${meta.crc32} were announced`,
  );
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
