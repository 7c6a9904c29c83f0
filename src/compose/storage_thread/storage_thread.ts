import type { MessagePort } from "node:worker_threads";
import { openChannel, startThread, type Thread } from "../../runtime/thread.ts";
import type { Board } from "../cluster/board.ts";
import { StartFailure } from "../cluster/supervisor.ts";
import type { FromStorageThread, StorageThreadData, ToStorageThread } from "./messages.ts";

/** Options of a StorageThread. */
export interface StorageThreadOptions {
  /** Makes the start data of a new thread: each has a producer of its own on the bus. */
  readonly newData: (generation: number) => StorageThreadData;
  /** The thread has ended by itself and everything that it published is accounted for; a new one follows. */
  readonly onGone: (generation: number) => Promise<void>;
  /** A new thread serves; a worker reaches it through this port. */
  readonly onConnected: (holder: number, port: MessagePort) => void;
  readonly board: Board;
  readonly reportError: (error: unknown) => void;
  readonly nowMs: () => number;
}

/** The longest pause before a thread that keeps failing is started again. */
const MAX_PAUSE_MS = 5000;

/**
 * Main's side of the storage thread, which owns the folders of the file tiers: starts it, gives every worker a line to
 * it, and starts it again when it has ended. A thread that stands still in a system call is not replaced, because the
 * next would stand still there too; `stuckMs` tells for how long.
 */
export class StorageThread {
  readonly #options: StorageThreadOptions;
  readonly #holders = new Set<number>();
  #thread: Thread<ToStorageThread> | undefined;
  #started = Promise.withResolvers<void>();
  #stopped = Promise.withResolvers<void>();
  #isStopping = false;
  #isReady = false;
  #hasStarted = false;
  #generation = 0;
  #failures = 0;
  #restarts = 0;
  #lastBeat = 0;
  #lastBeatMs = 0;

  constructor(options: StorageThreadOptions) {
    this.#options = options;
    this.#lastBeatMs = options.nowMs();
    // Nobody may be stopping it when it fails.
    this.#stopped.promise.catch(() => {});
  }

  /** The number of times that the thread was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Resolves when the folders are open. Throws StartFailure. */
  start(): Promise<void> {
    this.#spawn();
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

  /** For how long the thread's event loop has stood still, in milliseconds; to be asked now and then. */
  stuckMs(): number {
    const now = this.#options.nowMs();
    const beat = this.#options.board.storageBeat;
    if (beat !== this.#lastBeat) {
      this.#lastBeat = beat;
      this.#lastBeatMs = now;
    }
    return now - this.#lastBeatMs;
  }

  /** Lets the thread make what it was asked for and close its folders. Throws if it could not. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#hasStarted) {
      this.#thread?.post({ kind: "stop" });
      await this.#stopped.promise;
    }
    await this.#thread?.terminate();
  }

  #spawn(): void {
    this.#generation += 1;
    const generation = this.#generation;
    const data = this.#options.newData(generation);
    const url = new URL("./entry.ts", import.meta.url);
    this.#thread = startThread<ToStorageThread, FromStorageThread>(url, data, {
      onMessage: (message) => this.#hear(message),
      onError: this.#options.reportError,
      onExit: () => void this.#exited(generation),
    });
  }

  #hear(message: FromStorageThread): void {
    if (message.kind === "ready") {
      this.#isReady = true;
      this.#hasStarted = true;
      this.#failures = 0;
      this.#started.resolve();
      if (this.#generation === 1) return;
      for (const holder of this.#holders) this.#options.onConnected(holder, this.#line(holder));
    } else if (message.kind === "stopped") this.#stopped.resolve();
    else {
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
    await this.#options.onGone(generation);
    setTimeout(() => !this.#isStopping && this.#spawn(), Math.min(MAX_PAUSE_MS, 20 * 2 ** this.#failures));
  }

  #line(holder: number): MessagePort {
    const { port1, port2 } = openChannel();
    // Before the thread is ready there is nobody who hears this; the message waits for it.
    this.#thread?.post({ kind: "connect", holder, port: port1 }, [port1]);
    return port2;
  }
}
