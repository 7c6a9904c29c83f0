import { causeText } from "../../core/errors.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { openChannel, type Thread, type ThreadEvents } from "../../runtime/thread.ts";
import { StartFailure } from "../cluster/supervisor.ts";
import type { FromStorageThread, StorageLines, ToStorageThread } from "./messages.ts";
import { LOOK_MS, StorageWatch, type StorageWatchOptions } from "./storage_watch.ts";

/** Options of a StorageThread. */
export interface StorageThreadOptions extends StorageWatchOptions {
  /** Starts a thread. Each has its own producer on the bus. */
  readonly spawn: (generation: number, events: ThreadEvents<FromStorageThread>) => Thread<ToStorageThread>;
  /** Called when the thread has ended by itself. A new one is started once the promise resolves. */
  readonly onGone: (generation: number) => Promise<void>;
  /** Called for each worker when a restarted thread is ready: its new channels to the thread. */
  readonly onConnected: (holder: number, lines: StorageLines) => void;
  readonly reportError: (error: unknown) => void;
  /** Calls back at an interval until the returned function is called. */
  readonly every: (ms: number, callback: () => void) => () => void;
  readonly after: (ms: number, callback: () => void) => void;
}

/** The storage thread for /status. */
export interface StorageThreadStatus {
  /**
   * `stuck`: its event loop has been blocked for some seconds. `gone`: it has ended and the next one is not ready yet.
   */
  readonly state: "starting" | "ready" | "stuck" | "gone";
  /** Seconds for which its event loop has been blocked; 0 while it runs. */
  readonly stuckSeconds: number;
  readonly restarts: number;
}

/** Maximum pause before a thread that keeps failing is restarted. */
const MAX_PAUSE_MS = 5000;

/** Maximum number of restarts during a stop. */
const STOP_ATTEMPTS = 3;

/** Objects since the stop began: stored, and refused by every tier. */
type Stored = Pick<FromStorageThread & { readonly kind: "stopped" }, "stored" | "refused">;

/**
 * Main's side of the storage thread, which owns the tiers and the folders of the file tiers. Starts the thread,
 * connects every worker to it, and restarts it when it ends. A thread that hangs in a system call is not replaced,
 * because the next one would hang there too; StorageWatch reports it.
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
  /** The cause of the thread's end, if it is known before the end. */
  #end: EventMap["storage_thread.gone"] = { cause: "not_started" };
  #stopLooking = () => {};

  constructor(options: StorageThreadOptions) {
    this.#options = options;
    this.#watch = new StorageWatch(options);
    // It may be rejected before anything awaits it.
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

  start(): Promise<void> {
    this.#spawn();
    this.#stopLooking = this.#options.every(LOOK_MS, () => this.#watch.look());
    return this.#started.promise;
  }

  /** Connects a worker to the thread; returns the worker's ends of the channels. */
  connect(holder: number): StorageLines {
    this.#holders.add(holder);
    return this.#lines(holder);
  }

  /** Disconnects a worker that is gone. */
  disconnect(holder: number): void {
    this.#holders.delete(holder);
    if (this.#isReady) this.#thread?.post({ kind: "disconnect", holder });
  }

  /**
   * Terminates the thread in the middle of its work, as a crash would; another one is started. For drills and tests.
   */
  async kill(): Promise<void> {
    await this.#thread?.terminate();
  }

  /** Announces a stop: the totals that `stop` returns start here. */
  stopSoon(): void {
    if (this.#isReady) this.#thread?.post({ kind: "stopSoon" });
  }

  /**
   * Lets the thread store all dirty objects, finish its calls and close its tiers. Restarts a thread that ends
   * meanwhile. Throws if the thread could not finish.
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
      // A thread that failed to start during a stop is restarted.
      if (this.#isStopping && this.#isReady) {
        this.#isDone = true;
        this.#stopped.reject(new Error(`stop storage thread: ${message.message}`));
      } else if (this.#generation > 1) this.#options.reportError(new Error(`start storage thread: ${message.message}`));
      // On Deno it does not end by itself. This comes last, because a runtime may call `onExit` before it returns.
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
    // The message is queued until the thread is ready.
    this.#thread?.post({ kind: "connect", holder, lines }, [lines.folders, lines.changes]);
    return { folders: folders.port2, changes: changes.port2 };
  }
}
