import type { MessagePort } from "node:worker_threads";
import { FileAdapter } from "../../../src/l2/file/adapter.ts";
import type { Disk } from "../../../src/l2/file/disk.ts";
import { FileStore, type FileStoreOptions } from "../../../src/l2/file/store/file_store.ts";
import { FolderKeeper } from "../../../src/l2/file/folder_keeper.ts";
import { OwnerLine } from "../../../src/l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/line/messages.ts";
import { FolderServer } from "../../../src/l2/file/line/folder_server.ts";
import { openChannel, portOf } from "../../../src/runtime/thread.ts";

/** Options of an Owner. */
export interface OwnerOptions extends Omit<FileStoreOptions, "onSegmentDropped" | "disk"> {
  readonly recordLimitBytes?: number | undefined;
  /** What large objects are written to. */
  readonly disk?: Disk | undefined;
}

/** The owner of a folder, which others reach over lines only. */
export class Owner {
  readonly keeper: FolderKeeper;
  readonly #adapter: FileAdapter;
  readonly #server: FolderServer;
  #store: FileStore | undefined;
  #detach: () => void = () => {};

  constructor({ disk, ...options }: OwnerOptions) {
    const opened: { server?: FolderServer } = {};
    // Segments are dropped while the folder is being opened, too.
    const onSegmentDropped = (segment: number): void => opened.server?.tell({ kind: "dropped", tier: 0, segment });
    const open = (mayMake: boolean): FileStore =>
      this.#store = new FileStore({ ...options, mayMake, onSegmentDropped });
    this.keeper = new FolderKeeper({ name: options.name, publish: options.publish, open });
    this.#adapter = new FileAdapter({ ...options, disk, folder: this.keeper });
    this.#server = new FolderServer([{ keeper: this.keeper, adapter: this.#adapter }]);
    opened.server = this.#server;
  }

  /** Serves a new channel; the end that the other side gets. */
  attach(): MessagePort {
    const { port1, port2 } = openChannel();
    this.#detach = this.#server.attach(portOf<FromOwner, ToOwner>(port1));
    return port2;
  }

  /** Connects a line; the returned function ends it without a word. */
  connect(line: OwnerLine): () => void {
    line.connect(portOf<ToOwner, FromOwner>(this.attach()));
    return this.#detach;
  }

  /** The last line is gone without a word. */
  detach(): void {
    this.#detach();
  }

  /** It has ended without a word: its folder is as a kill leaves it, and free. */
  die(): void {
    this.#detach();
    this.#store?.abandon("the owner has died");
  }

  async close(): Promise<void> {
    await this.#adapter.close();
  }
}

/** An adapter that does everything over a line to the owner of its folder; closing it closes the owner, too. */
export class LineAdapter extends FileAdapter {
  readonly line: OwnerLine;
  readonly owner: Owner;

  constructor(options: OwnerOptions) {
    const owner = new Owner(options);
    const line = new OwnerLine();
    owner.connect(line);
    const { name, path, limitBytes, sync, recordLimitBytes } = options;
    const folder = line.store(0, (segment) => this.forgetSegment(segment));
    super({ name, path, limitBytes, sync, recordLimitBytes, ...folder });
    this.line = line;
    this.owner = owner;
  }

  override async close(): Promise<void> {
    await super.close();
    this.line.close();
    await this.owner.close();
  }
}
