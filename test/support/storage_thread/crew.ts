import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { systemClock } from "../../../src/core/clock.ts";
import { allocateArena } from "../../../src/l1/arena/arena.ts";
import { Owner } from "../../l2/file/line.ts";
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

/** Main's own storage manager and threads over one L1 and one folder, which main owns. */
export class Crew {
  readonly common: Common;
  readonly main: Member;
  readonly #owner: Owner;
  readonly #threads: CrewThread[] = [];

  private constructor(common: Common, owner: Owner) {
    this.common = common;
    this.#owner = owner;
    this.main = openMember(common, { seat: { place: 0, holder: 1 }, owner: owner.attach() });
  }

  /** Main sits at place 0 with holder 1. */
  static open(options: { readonly l1Bytes: number }): Promise<Crew> {
    const common: Common = {
      arena: allocateArena({ sizeBytes: options.l1Bytes, maxObjects: 1024, maxLeases: 1024, hashSeed: 7 }),
      keys: allocateSharedKeys({ places: 4, hashSeed: 7 }),
      folder: mkdtempSync(join(tmpdir(), "vitrine-threads-")),
      clock: new SharedArrayBuffer(4),
    };
    return Promise.resolve(
      new Crew(
        common,
        new Owner({ name: "fs", path: common.folder, limitBytes: 0, sync: false, publish() {}, clock: systemClock }),
      ),
    );
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
      owner: this.#owner.attach(),
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
