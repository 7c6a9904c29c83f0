import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { L2Load, L2Reader, ListPage, ListQuery, TierUsage } from "../adapter.ts";
import { Calls } from "../calls.ts";
import { type Disk, openDisk } from "./disk.ts";
import { Layout } from "./layout.ts";
import { type IndexRow, isSameRow } from "./place.ts";
import { BlockReader } from "./block_reader.ts";
import { payloadOf } from "./store/reclaim.ts";
import { SegmentReader } from "./segment_reader.ts";
import type { FolderCalls } from "./store_calls.ts";

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

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.calls.run("load object", async () => {
      for (;;) {
        const row = await this.#folder.find(key, true);
        if (row === undefined) return undefined;
        const load = await this.#open(row, range ?? { start: 0, end: row.meta.sizeBytes });
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
      return payload && { meta: row.meta, chunks: this.#once(payload.subarray(range.start, range.end)) };
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

  async *#once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    if (this.calls.closed) throw new VitrineError("tier_failed", `load object: tier ${this.name} is closed`);
    if (bytes.length > 0) yield bytes;
  }

  async #isStill(row: IndexRow): Promise<boolean> {
    const now = await this.#folder.find(row.key, false);
    return now !== undefined && isSameRow(now, row);
  }
}
