import type { MessagePort } from "node:worker_threads";
import { causeText } from "../../core/cause_text.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { openChannel, type Thread, type ThreadEvents } from "../../runtime/thread.ts";
import { StartFailure } from "../cluster/supervisor.ts";
import type { FromStorageThread, ToStorageThread } from "./messages.ts";
import { LOOK_MS, StorageWatch, type StorageWatchOptions } from "./storage_watch.ts";

/** Options of a StorageThread. */
export interface StorageThreadOptions extends StorageWatchOptions {
  /** Starts a thread: each has a producer of its own on the bus. */
  readonly spawn: (generation: number, events: ThreadEvents<FromStorageThread>) => Thread<ToStorageThread>;
  /** The thread has ended by itself and everything that it published is accounted for; a new one follows. */
  readonly onGone: (generation: number) => Promise<void>;
  /** A new thread serves; a worker reaches it through this port. */
  readonly onConnected: (holder: number, port: MessagePort) => void;
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

/**
 * Main's side of the storage thread, which owns the folders of the file tiers: starts it, gives every worker a line to
 * it, and starts it again when it has ended. A thread that stands still in a system call is not replaced, because the
 * next would stand still there too; StorageWatch tells of it.
 */
export class StorageThread {
  readonly #options: StorageThreadOptions;
  readonly #watch: StorageWatch;
  readonly #holders = new Set<number>();
  #thread: Thread<ToStorageThread> | undefined;
  readonly #started = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
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

  /** A line to the thread for a worker: the end that the worker gets. */
  connect(holder: number): MessagePort {
    this.#holders.add(holder);
    return this.#line(holder);
  }

  /** The worker is gone: what it held is given back. */
  disconnect(holder: number): void {
    this.#holders.delete(holder);
    if (this.#isReady) this.#thread?.post({ kind: "disconnect", holder });
  }

  /** Lets the thread make what it was asked for and close its folders. Throws if it could not. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#hasStarted) {
      this.#thread?.post({ kind: "stop" });
      await this.#stopped.promise;
    }
    await this.#thread?.terminate();
    this.#stopLooking();
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
      if (this.#generation === 1) return;
      for (const holder of this.#holders) this.#options.onConnected(holder, this.#line(holder));
    } else if (message.kind === "stopped") this.#stopped.resolve();
    else {
      this.#end = { cause: "not_started", error: message.message };
      this.#started.reject(new StartFailure(message.message));
      if (this.#isStopping) this.#stopped.reject(new Error(`stop storage thread: ${message.message}`));
      else if (this.#generation > 1) this.#options.reportError(new Error(`start storage thread: ${message.message}`));
    }
  }

  async #exited(generation: number): Promise<void> {
    this.#isReady = false;
    this.#started.reject(new StartFailure("the storage thread ended before it was ready"));
    if (this.#isStopping) {
      this.#stopped.reject(new Error("stop storage thread: it ended before it had finished"));
      return;
    }
    if (!this.#hasStarted) return;
    this.#restarts += 1;
    this.#failures += 1;
    this.#watch.end(this.#end);
    await this.#options.onGone(generation);
    this.#options.after(Math.min(MAX_PAUSE_MS, 20 * 2 ** this.#failures), () => {
      if (!this.#isStopping) this.#spawn();
    });
  }

  #line(holder: number): MessagePort {
    const { port1, port2 } = openChannel();
    // Before the thread is ready there is nobody who hears this; the message waits for it.
    this.#thread?.post({ kind: "connect", holder, port: port1 }, [port1]);
    return port2;
  }
}
