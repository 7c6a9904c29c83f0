import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { systemClock } from "../../../src/core/clock.ts";
import { allocateArena } from "../../../src/l1/arena/arena.ts";
import { FileAdapter } from "../../../src/l2/file/adapter.ts";
import { OwnerLine } from "../../../src/l2/file/line/folder_line.ts";
import { openChannel, portOf } from "../../../src/runtime/thread.ts";
import { ChangeServer } from "../../../src/storage/changes/change_server.ts";
import type { FromTierOwner, ToTierOwner } from "../../../src/storage/changes/tier_changes.ts";
import { TierOwner } from "../../../src/storage/changes/tier_owner.ts";
import { openOwnerContext, type OwnerContext } from "../../../src/storage/context.ts";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { Owner } from "../../l2/file/line.ts";
import { until } from "../until.ts";
import { type Common, type CrewLines, type Member, openCommonL1, openMember, STORE_QUEUE } from "./member.ts";
import { type Stalls, stallStores } from "./stall.ts";
import type { Answer, Task, ThreadData } from "./thread.ts";

/** The numbers of the owner that a crew begins with, which makes L1's tables, and of main's storage manager. */
const OWNER = 1;
const MAIN = 100;

/** The settings of each folder; objects above the limit are in files of their own. */
const FOLDER = { name: "fs", limitBytes: 0, sync: false, recordLimitBytes: 8192 };

/** A thread with a storage manager of its own. */
export class CrewThread {
  readonly #worker: Worker;
  readonly #answers: Answer[] = [];
  readonly #stalled = new Set<string>();
  #arrived = Promise.withResolvers<void>();

  constructor(data: ThreadData) {
    this.#worker = new Worker(fileURLToPath(import.meta.resolve("./thread.ts")), {
      workerData: data,
      transferList: [...data.lines.folders, data.lines.changes],
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

/** Who makes the changes of the tier, in this thread. */
interface CrewOwner {
  readonly owner: TierOwner;
  readonly context: OwnerContext;
}

/** Main's own storage manager, and threads, over one L1 and one folder, which main owns besides. */
export class Crew {
  readonly common: Common;
  readonly main: Member;
  readonly #folders: readonly Owner[];
  /** True if the first folder is reached over a line, as one of another thread. */
  readonly #isApart: boolean;
  readonly #threads: CrewThread[] = [];
  #owner: CrewOwner;
  readonly #detach = new Map<number, () => void>();
  /** Keys whose store hangs in the first owner. */
  readonly #hanging: ReadonlySet<string>;

  private constructor(
    common: Common,
    folders: readonly Owner[],
    { isApart, stalls, hanging }: {
      readonly isApart: boolean;
      readonly stalls: Stalls | undefined;
      readonly hanging: ReadonlySet<string>;
    },
  ) {
    this.common = common;
    this.#folders = folders;
    this.#isApart = isApart;
    this.#hanging = hanging;
    this.#owner = this.#own(OWNER, stalls);
    this.main = openMember(common, { workerId: MAIN, lines: this.#lines(MAIN) });
  }

  /**
   * `stalledStores`: what hangs in the owner. `isApart`: there are two tiers, and the owner reaches the first one's
   * folder over a line.
   */
  static open(
    { isApart = false, ...options }: {
      readonly l1Bytes: number;
      readonly stalledStores?: readonly string[];
      readonly isApart?: boolean;
    },
  ): Crew {
    const common: Common = {
      arena: allocateArena({ sizeBytes: options.l1Bytes, maxObjects: 1024, maxLeases: 1024, hashSeed: 7 }),
      keys: allocateSharedKeys({ hashSeed: 7 }),
      folders: Array.from({ length: isApart ? 2 : 1 }, () => mkdtempSync(join(tmpdir(), "vitrine-threads-"))),
      clock: new SharedArrayBuffer(4),
    };
    const folders = common.folders.map((path) => new Owner({ ...FOLDER, path, publish() {}, clock: systemClock }));
    const { stalledStores } = options;
    const hanging = new Set<string>();
    const stalls = { keys: new Set(stalledStores), onStall: (name: string) => hanging.add(name) };
    return new Crew(common, folders, { isApart, stalls: stalledStores && stalls, hanging });
  }

  /** Resolves when the store of a key hangs in the owner. */
  stalled(name: string): Promise<void> {
    return until(() => this.#hanging.has(name));
  }

  /** Starts a thread and waits until it is ready. */
  async join(
    workerId: number,
    { stalledLoads = [] }: { readonly stalledLoads?: readonly string[] } = {},
  ): Promise<CrewThread> {
    const thread = new CrewThread({
      common: this.common,
      workerId,
      lines: this.#lines(workerId),
      stalledLoads,
    });
    this.#threads.push(thread);
    await thread.next("ready");
    return thread;
  }

  /** Tidies up after a thread that is gone, as main does. */
  async gone(workerId: number): Promise<void> {
    await this.main.l1.takeOver(workerId);
    this.#detach.get(workerId)?.();
  }

  /** Another owner takes the place of the one that was there, as if its thread had died. */
  async replaceOwner(workerId: number): Promise<void> {
    for (const detach of this.#detach.values()) detach();
    await this.main.l1.takeOver(OWNER);
    this.#owner = this.#own(workerId, undefined);
    const { changes } = this.#lines(MAIN);
    this.main.changes.connect(portOf<readonly ToTierOwner[], readonly FromTierOwner[]>(changes));
  }

  /** Ends everything and removes the folder. */
  async close(): Promise<void> {
    await this.main.storage.drain();
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
    for (const detach of this.#detach.values()) detach();
    await this.#owner.owner.end();
    await Promise.all(this.#folders.map((folder) => folder.close()));
    for (const folder of this.common.folders) rmSync(folder, { recursive: true });
  }

  #own(workerId: number, stalls: Stalls | undefined): CrewOwner {
    const publish = () => {};
    const l1 = openCommonL1(this.common, { workerId, publish });
    const tiers = this.#folders.map((folder, index) => {
      const path = this.common.folders[index] ?? "";
      const file = this.#isApart && index === 0
        ? this.#overLine(folder, path)
        : new FileAdapter({ ...FOLDER, path, folder: folder.keeper });
      return stalls === undefined ? file : stallStores(file, stalls);
    });
    const shared = new SharedKeys(this.common.keys, workerId);
    const context = openOwnerContext(tiers, { l1, publish, clock: systemClock, leaseMs: 10_000, shared });
    return { owner: new TierOwner(context, { concurrency: 4, storeQueue: STORE_QUEUE }), context };
  }

  #lines(workerId: number): CrewLines {
    const { port1, port2 } = openChannel();
    const { owner, context } = this.#owner;
    const port = portOf<readonly FromTierOwner[], readonly ToTierOwner[]>(port1);
    const server = new ChangeServer(port, { owner, context, wake: (followed) => owner.wake(followed) });
    this.#detach.set(workerId, () => server.end());
    return { folders: this.#folders.map((folder) => folder.attach()), changes: port2 };
  }

  #overLine(folder: Owner, path: string): FileAdapter {
    const line = new OwnerLine();
    this.#detach.set(OWNER, folder.connect(line));
    const access = line.store(0, (segment) => file.forgetSegment(segment));
    const file: FileAdapter = new FileAdapter({ ...FOLDER, path, ...access });
    return file;
  }
}

function isKind<Kind extends Answer["kind"]>(
  answer: Answer,
  kind: Kind,
): answer is Extract<Answer, { readonly kind: Kind }> {
  return answer.kind === kind;
}
