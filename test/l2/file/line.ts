import { FileAdapter } from "../../../src/l2/file.ts";
import { FileStore, type FileStoreOptions } from "../../../src/l2/file/file_store.ts";
import { FolderKeeper } from "../../../src/l2/file/folder_keeper.ts";
import type { FromOwner, Port, ToOwner } from "../../../src/l2/file/remote/messages.ts";
import { OwnerLine } from "../../../src/l2/file/remote/remote_store.ts";
import { StoreServer } from "../../../src/l2/file/remote/serve_stores.ts";
import { openChannel, portOf } from "../../../src/runtime/thread.ts";

/** The owner of a folder, which others reach over lines only. */
export class Owner {
  readonly keeper: FolderKeeper;
  readonly server: StoreServer;
  #store: FileStore | undefined;

  constructor(options: Omit<FileStoreOptions, "onSegmentDropped">) {
    const onSegmentDropped = (segment: number): void => this.server.dropped(0, segment);
    const open = (mayMake: boolean): FileStore =>
      this.#store = new FileStore({ ...options, mayMake, onSegmentDropped });
    this.keeper = new FolderKeeper({ name: options.name, publish: options.publish, open });
    this.server = new StoreServer([this.keeper]);
  }

  /** Attaches a new channel; the end that the other side gets, and what detaches it. */
  attach(): { readonly port: Port<ToOwner, FromOwner>; readonly detach: () => void } {
    const { port1, port2 } = openChannel();
    return { port: portOf<ToOwner, FromOwner>(port2), detach: this.server.attach(portOf<FromOwner, ToOwner>(port1)) };
  }

  /** It has ended without a word: its folder is as a kill leaves it, and free. */
  die(): void {
    this.#store?.abandon("the owner has died");
  }
}

/** An adapter that reaches the owner of its folder over a line; closing it closes the owner, too. */
export class LineAdapter extends FileAdapter {
  readonly line: OwnerLine;
  readonly owner: Owner;

  constructor(options: Omit<FileStoreOptions, "onSegmentDropped"> & { readonly recordLimitBytes?: number }) {
    const owner = new Owner(options);
    const line = new OwnerLine();
    line.connect(owner.attach().port);
    const { name, path, limitBytes, sync, recordLimitBytes } = options;
    const store = line.store(0, (segment) => this.forgetSegment(segment));
    super({ name, path, limitBytes, sync, recordLimitBytes, store });
    this.line = line;
    this.owner = owner;
  }

  override async close(): Promise<void> {
    await super.close();
    this.line.close();
    await this.owner.keeper.close();
  }
}
