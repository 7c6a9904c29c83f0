import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { systemClock } from "../../../src/core/clock.ts";
import { allocateArena } from "../../../src/l1/arena/arena.ts";
import { FileStore } from "../../../src/l2/file/file_store.ts";
import { FolderKeeper } from "../../../src/l2/file/folder_keeper.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/remote/messages.ts";
import { StoreServer } from "../../../src/l2/file/remote/serve_stores.ts";
import { portOf } from "../../../src/runtime/thread.ts";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import type { Seat } from "../../../src/storage/shared/shared_keys.ts";
import { type Common, type Member, openMember } from "./member.ts";
import type { Answer, Task, ThreadData } from "./thread.ts";

/** A thread with a storage manager of its own. */
export class CrewThread {
  readonly #worker: Worker;
  readonly #answers: Answer[] = [];
  readonly #stalled = new Set<string>();
  #arrived = Promise.withResolvers<void>();

  constructor(data: ThreadData) {
    this.#worker = new Worker(fileURLToPath(import.meta.resolve("./thread.ts")), {
      workerData: data,
      transferList: [data.owner],
    });
    this.#worker.on("message", (answer: Answer) => this.#arrive(answer));
    this.#worker.on("error", (error) => this.#arrive({ kind: "failed", message: String(error) }));
  }

  post(task: Task): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
    this.#worker.postMessage(task);
  }

  /** The next answer of a kind; those before it are dropped. Throws what the thread failed with. */
  async next<Kind extends Answer["kind"]>(kind: Kind): Promise<Extract<Answer, { readonly kind: Kind }>> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer === undefined) await this.#arrived.promise;
      else if (answer.kind === "failed") throw new Error(answer.message);
      else if (isKind(answer, kind)) return answer;
    }
  }

  /** Resolves when calls for so many keys hang. */
  async stalled(keys: number): Promise<void> {
    while (this.#stalled.size < keys) await this.#arrived.promise;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #arrive(answer: Answer): void {
    if (answer.kind === "stalled") this.#stalled.add(answer.name);
    else this.#answers.push(answer);
    const { resolve } = this.#arrived;
    this.#arrived = Promise.withResolvers();
    resolve();
  }
}

/** The owner of the folder of a crew, in main. */
class Owner {
  readonly #keeper: FolderKeeper;
  readonly #server: StoreServer;

  constructor(path: string) {
    const publish = (): void => {};
    const settings = { name: "fs", path, limitBytes: 0, sync: false, publish, clock: systemClock };
    const onSegmentDropped = (segment: number): void => this.#server.dropped(0, segment);
    const open = (mayMake: boolean) => new FileStore({ ...settings, mayMake, onSegmentDropped });
    this.#keeper = new FolderKeeper({ name: "fs", publish, open });
    this.#server = new StoreServer([this.#keeper]);
  }

  /** The end of a line to it. */
  line(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#server.attach(portOf<FromOwner, ToOwner>(port1));
    return port2;
  }

  async close(): Promise<void> {
    await this.#keeper.close();
  }
}

/** Main's own storage manager and threads over one L1 and one folder, which main owns. */
export class Crew {
  readonly common: Common;
  readonly main: Member;
  readonly #owner: Owner;
  readonly #threads: CrewThread[] = [];

  private constructor(common: Common, owner: Owner) {
    this.common = common;
    this.#owner = owner;
    this.main = openMember(common, { seat: { place: 0, holder: 1 }, owner: owner.line() });
  }

  /** Main sits at place 0 with holder 1. */
  static open(options: { readonly l1Bytes: number }): Promise<Crew> {
    const common: Common = {
      arena: allocateArena({ sizeBytes: options.l1Bytes, maxObjects: 1024, maxLeases: 1024, hashSeed: 7 }),
      keys: allocateSharedKeys({ places: 4, hashSeed: 7 }),
      folder: mkdtempSync(join(tmpdir(), "vitrine-threads-")),
      clock: new SharedArrayBuffer(4),
    };
    return Promise.resolve(new Crew(common, new Owner(common.folder)));
  }

  /** Starts a thread and waits until it is ready. */
  async join(
    seat: Seat,
    stalls: { readonly stores?: readonly string[]; readonly loads?: readonly string[] } = {},
  ): Promise<CrewThread> {
    const { stores: stalledStores = [], loads: stalledLoads = [] } = stalls;
    const thread = new CrewThread({
      common: this.common,
      seat,
      owner: this.#owner.line(),
      stalledStores,
      stalledLoads,
    });
    this.#threads.push(thread);
    await thread.next("ready");
    return thread;
  }

  /** Ends everything and removes the folder. */
  async close(): Promise<void> {
    await this.main.storage.drain();
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
    await this.#owner.close();
    rmSync(this.common.folder, { recursive: true });
  }
}

function isKind<Kind extends Answer["kind"]>(
  answer: Answer,
  kind: Kind,
): answer is Extract<Answer, { readonly kind: Kind }> {
  return answer.kind === kind;
}
