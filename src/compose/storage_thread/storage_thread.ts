import { causeText } from "../../core/errors.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { openChannel, type Thread, type ThreadEvents } from "../../runtime/thread.ts";
import { StartFailure } from "../cluster/supervisor.ts";
import type { FromStorageThread, StorageLines, ToStorageThread } from "./messages.ts";
import { LOOK_MS, StorageWatch, type StorageWatchOptions } from "./storage_watch.ts";

/** Options of a StorageThread. */
export interface StorageThreadOptions extends StorageWatchOptions {
  /** Starts a thread: each has a producer of its own on the bus. */
  readonly spawn: (generation: number, events: ThreadEvents<FromStorageThread>) => Thread<ToStorageThread>;
  /** The thread has ended by itself and everything that it published is accounted for; a new one follows. */
  readonly onGone: (generation: number) => Promise<void>;
  /** A new thread serves; a worker reaches it through these lines. */
  readonly onConnected: (holder: number, lines: StorageLines) => void;
  readonly reportError: (error: unknown) => void;
  /** Calls back at an interval until the function it returns is called. */
  readonly every: (ms: number, callback: () => void) => () => void;
  readonly after: (ms: number, callback: () => void) => void;
}

/** The storage thread for /status. */
export interface StorageThreadStatus {
  /** stuck: its event loop has stood still for some seconds; gone: it has ended, and the next is not ready yet. */
  readonly state: "starting" | "ready" | "stuck" | "gone";
  /** For how long its event loop has stood still; 0 while it turns. */
  readonly stuckSeconds: number;
  readonly restarts: number;
}

/** The longest pause before a thread that keeps failing is started again. */
const MAX_PAUSE_MS = 5000;

/** How often a thread that ends during a stop is started again to finish it. */
const STOP_ATTEMPTS = 3;

/** What was stored since a stop began, and what no tier took. */
type Stored = Pick<FromStorageThread & { readonly kind: "stopped" }, "stored" | "refused">;

/**
 * Main's side of the storage thread, which owns the tiers and the folders of the file tiers: starts it,
 * gives every worker lines to it, and starts it again when it has ended. A thread that stands still in a system call is
 * not replaced, because the next would stand still there too; StorageWatch tells of it.
 */
export class StorageThread {
  readonly #options: StorageThreadOptions;
  readonly #watch: StorageWatch;
  readonly #holders = new Set<number>();
  #thread: Thread<ToStorageThread> | undefined;
  readonly #started = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<Stored>();
  #stopFailures = 0;
  #isDone = false;
  #isStopping = false;
  #isReady = false;
  #hasStarted = false;
  #generation = 0;
  #failures = 0;
  #restarts = 0;
  /** Why the thread has ended, as far as that is known before it has. */
  #end: EventMap["storage_thread.gone"] = { cause: "not_started" };
  #stopLooking = () => {};

  constructor(options: StorageThreadOptions) {
    this.#options = options;
    this.#watch = new StorageWatch(options);
    // Nobody may be stopping it when it fails.
    this.#stopped.promise.catch(() => {});
  }

  status(): StorageThreadStatus {
    const { isStuck, stuckSeconds } = this.#watch;
    const idle = this.#hasStarted ? "gone" : "starting";
    return {
      state: this.#isReady ? (isStuck ? "stuck" : "ready") : idle,
      stuckSeconds,
      restarts: this.#restarts,
    };
  }

  /** Resolves when the folders are open. Throws StartFailure. */
  start(): Promise<void> {
    this.#spawn();
    this.#stopLooking = this.#options.every(LOOK_MS, () => this.#watch.look());
    return this.#started.promise;
  }

  /** Lines to the thread for a worker: the ends that the worker gets. */
  connect(holder: number): StorageLines {
    this.#holders.add(holder);
    return this.#lines(holder);
  }

  /** The worker is gone: what it held is given back. */
  disconnect(holder: number): void {
    this.#holders.delete(holder);
    if (this.#isReady) this.#thread?.post({ kind: "disconnect", holder });
  }

  /** Ends the thread in the middle of what it does, as a crash would; another follows. For drills and tests. */
  async kill(): Promise<void> {
    await this.#thread?.terminate();
  }

  /** A stop begins: what is stored from now on is told at its end. */
  stopSoon(): void {
    if (this.#isReady) this.#thread?.post({ kind: "stopSoon" });
  }

  /**
   * Lets the thread store what is dirty, make what it was asked for and close its tiers; one that ends meanwhile is
   * started again. Throws if it could not.
   */
  async stop(): Promise<Stored> {
    this.#isStopping = true;
    let stored: Stored = { stored: 0, refused: 0 };
    if (this.#hasStarted) {
      if (this.#isReady) this.#thread?.post({ kind: "stop" });
      try {
        stored = await this.#stopped.promise;
      } finally {
        this.#stopLooking();
      }
    }
    await this.#thread?.terminate();
    return stored;
  }

  #spawn(): void {
    this.#generation += 1;
    const generation = this.#generation;
    this.#end = { cause: "not_started" };
    this.#thread = this.#options.spawn(generation, {
      onMessage: (message) => this.#hear(message),
      onError: (error) => {
        this.#end = { cause: "threw", error: causeText(error) };
        this.#options.reportError(error);
      },
      onExit: () => void this.#exited(generation),
    });
  }

  #hear(message: FromStorageThread): void {
    if (message.kind === "ready") {
      this.#isReady = true;
      this.#hasStarted = true;
      this.#failures = 0;
      this.#end = { cause: "ended" };
      this.#watch.begin();
      this.#started.resolve();
      if (this.#generation > 1) {
        for (const holder of this.#holders) this.#options.onConnected(holder, this.#lines(holder));
      }
      if (this.#isStopping) this.#thread?.post({ kind: "stop" });
    } else if (message.kind === "stopped") {
      this.#isDone = true;
      this.#stopped.resolve(message);
    } else {
      this.#end = { cause: "not_started", error: message.message };
      this.#started.reject(new StartFailure(message.message));
      // One that did not start in a stop is followed by another.
      if (this.#isStopping && this.#isReady) {
        this.#isDone = true;
        this.#stopped.reject(new Error(`stop storage thread: ${message.message}`));
      } else if (this.#generation > 1) this.#options.reportError(new Error(`start storage thread: ${message.message}`));
      // On Deno it would not end by itself. Last, because a runtime may call `onExit` before this returns.
      void this.#thread?.terminate();
    }
  }

  async #exited(generation: number): Promise<void> {
    this.#isReady = false;
    this.#started.reject(new StartFailure("the storage thread ended before it was ready"));
    if (!this.#hasStarted || this.#isDone) return;
    this.#restarts += 1;
    this.#failures += 1;
    this.#watch.end(this.#end);
    await this.#options.onGone(generation);
    if (this.#isStopping && ++this.#stopFailures > STOP_ATTEMPTS) {
      this.#stopped.reject(new Error("stop storage thread: it ended before it had finished"));
    } else this.#options.after(Math.min(MAX_PAUSE_MS, 20 * 2 ** this.#failures), () => this.#spawn());
  }

  #lines(holder: number): StorageLines {
    const folders = openChannel();
    const changes = openChannel();
    const lines = { folders: folders.port1, changes: changes.port1 };
    // Before the thread is ready there is nobody who hears this; the message waits for it.
    this.#thread?.post({ kind: "connect", holder, lines }, [lines.folders, lines.changes]);
    return { folders: folders.port2, changes: changes.port2 };
  }
}
