import type { MessagePort } from "node:worker_threads";
import { FileAdapter } from "../../../src/l2/file.ts";
import { FileStore, type FileStoreOptions } from "../../../src/l2/file/file_store.ts";
import { FolderKeeper } from "../../../src/l2/file/folder_keeper.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/remote/messages.ts";
import { OwnerLine } from "../../../src/l2/file/remote/remote_store.ts";
import { StoreServer } from "../../../src/l2/file/remote/serve_stores.ts";
import { openChannel, portOf } from "../../../src/runtime/thread.ts";
import { callsOf } from "./folder.ts";

/** The owner of a folder, which others reach over lines only. */
export class Owner {
  readonly keeper: FolderKeeper;
  readonly #server: StoreServer;
  #store: FileStore | undefined;
  #detach: () => void = () => {};

  constructor(options: Omit<FileStoreOptions, "onSegmentDropped">) {
    const opened: { server?: StoreServer } = {};
    // Segments are dropped while the folder is being opened, too.
    const onSegmentDropped = (segment: number): void => opened.server?.tell({ kind: "dropped", tier: 0, segment });
    const open = (mayMake: boolean): FileStore =>
      this.#store = new FileStore({ ...options, mayMake, onSegmentDropped });
    this.keeper = new FolderKeeper({ name: options.name, publish: options.publish, open });
    this.#server = new StoreServer([this.keeper]);
    opened.server = this.#server;
  }

  /** Serves a new channel; the end that the other side gets. */
  attach(): MessagePort {
    const { port1, port2 } = openChannel();
    this.#detach = this.#server.attach(portOf<FromOwner, ToOwner>(port1));
    return port2;
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
    await this.keeper.close();
  }
}

/** An adapter that reads over a line to the owner of its folder; closing it closes the owner, too. */
export class LineAdapter extends FileAdapter {
  readonly line: OwnerLine;
  readonly owner: Owner;

  constructor(options: Omit<FileStoreOptions, "onSegmentDropped"> & { readonly recordLimitBytes?: number }) {
    const owner = new Owner(options);
    const line = new OwnerLine();
    line.connect(portOf<ToOwner, FromOwner>(owner.attach()));
    const { name, path, limitBytes, sync, recordLimitBytes } = options;
    const reads = line.reader(0, (segment) => this.forgetSegment(segment));
    const folder = { ...callsOf(owner.keeper), ...reads, close: () => Promise.resolve() };
    super({ name, path, limitBytes, sync, recordLimitBytes, folder });
    this.line = line;
    this.owner = owner;
  }

  override async close(): Promise<void> {
    await super.close();
    this.line.close();
    await this.owner.close();
  }
}
