import type { MessagePort } from "node:worker_threads";
import { causeText } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { Thread, ThreadEvents } from "../../runtime/thread.ts";
import type { Board, TierThreadWords } from "./board.ts";
import { Silence, type SystemTime } from "./liveness.ts";
import {
  type FromTierThread,
  type LineKind,
  openLines,
  portsOf,
  type ThreadLines,
  type TierThreadName,
  type ToTierThread,
} from "./messages.ts";
import { StartFailure } from "./supervisor.ts";

/** Options of a TierThread. */
export interface TierThreadOptions extends ThreadMonitorOptions, SystemTime {
  /** Starts a thread. Each has its own producer on the bus. */
  readonly spawn: (generation: number, events: ThreadEvents<FromTierThread>) => Thread<ToTierThread>;
  /** Called when the thread has ended by itself. A new one is started once the promise resolves. */
  readonly onGone: (generation: number) => Promise<void>;
  /** Called for each connected thread when a restarted one is ready: its new lines to it. */
  readonly onConnected: (workerId: number, lines: ThreadLines) => void;
  readonly reportError: (error: unknown) => void;
}

/** A thread for /status. */
export interface TierThreadStatus {
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
type Stored = Pick<FromTierThread & { readonly kind: "stopped" }, "stored" | "refused">;

/**
 * Main's side of the storage thread or of the file thread. Starts the thread, connects others to it, and restarts it
 * when it ends. A thread that hangs in a system call is not replaced, because the next one would hang there too;
 * ThreadMonitor reports it.
 */
export class TierThread {
  readonly #options: TierThreadOptions;
  readonly #watch: ThreadMonitor;
  /** By worker id, the lines of each thread that is connected. */
  readonly #connected = new Map<number, readonly LineKind[]>();
  #thread: Thread<ToTierThread> | undefined;
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
  #end: Omit<EventMap["storage_thread.gone"], "thread"> = { cause: "not_started" };
  #stopLooking = () => {};

  constructor(options: TierThreadOptions) {
    this.#options = options;
    this.#watch = new ThreadMonitor(options);
    // It may be rejected before anything awaits it.
    this.#stopped.promise.catch(() => {});
  }

  status(): TierThreadStatus {
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

  /** Connects a thread to this one; returns its ends of the lines. */
  connect(workerId: number, kinds: readonly LineKind[]): ThreadLines {
    this.#connected.set(workerId, kinds);
    return this.#lines(workerId, kinds);
  }

  /** Sends the thread a line to the file thread. */
  connectFolders(folders: MessagePort): void {
    this.#thread?.post({ kind: "folders", folders }, [folders]);
  }

  /** Disconnects a thread that is gone. */
  disconnect(workerId: number): void {
    this.#connected.delete(workerId);
    if (this.#isReady) this.#thread?.post({ kind: "disconnect", workerId });
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

  #hear(message: FromTierThread): void {
    const { name } = this.#options;
    if (message.kind === "ready") {
      this.#isReady = true;
      this.#hasStarted = true;
      this.#failures = 0;
      this.#end = { cause: "ended" };
      this.#watch.begin();
      this.#started.resolve();
      if (this.#generation > 1) {
        for (const [workerId, kinds] of this.#connected) {
          this.#options.onConnected(workerId, this.#lines(workerId, kinds));
        }
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
        this.#stopped.reject(new Error(`stop ${name} thread: ${message.message}`));
      } else if (this.#generation > 1) this.#options.reportError(new Error(`start ${name} thread: ${message.message}`));
      // On Deno it does not end by itself. This comes last, because a runtime may call `onExit` before it returns.
      void this.#thread?.terminate();
    }
  }

  async #exited(generation: number): Promise<void> {
    this.#isReady = false;
    this.#started.reject(new StartFailure(`the ${this.#options.name} thread ended before it was ready`));
    if (!this.#hasStarted || this.#isDone) return;
    this.#restarts += 1;
    this.#failures += 1;
    this.#watch.end(this.#end);
    await this.#options.onGone(generation);
    if (this.#isStopping && ++this.#stopFailures > STOP_ATTEMPTS) {
      this.#stopped.reject(new Error(`stop ${this.#options.name} thread: it ended before it had finished`));
    } else this.#options.after(Math.min(MAX_PAUSE_MS, 20 * 2 ** this.#failures), () => this.#spawn());
  }

  #lines(workerId: number, kinds: readonly LineKind[]): ThreadLines {
    const { near, far } = openLines(kinds);
    // The message is queued until the thread is ready.
    this.#thread?.post({ kind: "connect", workerId, lines: near }, portsOf(near));
    return far;
  }
}

/** Milliseconds between two checks of the thread's heartbeat. */
const LOOK_MS = 250;
/** Milliseconds for which its event loop may be blocked: longer than a busy disk delays a commit. */
const STUCK_MS = 5000;

/** Options of a ThreadMonitor. */
interface ThreadMonitorOptions extends Pick<SystemTime, "nowMs" | "threadUsage"> {
  readonly name: TierThreadName;
  readonly board: Board;
  readonly publish: Publish<EventMap>;
}

/**
 * Detects that a thread is stuck or gone, and reports it: with events, and on the board for /readyz. Silence
 * measures the time for which the thread is blocked, as it does for workers: a thread that gets no core, or whose
 * process is suspended, is not stuck.
 */
class ThreadMonitor {
  readonly #options: ThreadMonitorOptions;
  readonly #words: TierThreadWords;
  /** The silence of the serving thread; undefined while there is none. */
  #silence: Silence | undefined;
  #lookedMs = 0;

  constructor(options: ThreadMonitorOptions) {
    this.#options = options;
    this.#words = options.board.tierThread(options.name);
  }

  /** Seconds for which the event loop has been blocked; 0 if it ran since the last look, or if no thread serves. */
  get stuckSeconds(): number {
    return (this.#silence?.ms ?? 0) / 1000;
  }

  get isStuck(): boolean {
    return (this.#silence?.ms ?? 0) >= STUCK_MS;
  }

  /** Begins to watch a thread that is ready. */
  begin(): void {
    const { name: thread, nowMs, publish } = this.#options;
    this.#silence = new Silence(this.#words.heartbeat);
    this.#lookedMs = nowMs();
    this.#words.setOutage(undefined);
    publish("storage_thread.started", { thread });
  }

  /** Records the end of the thread. */
  end(why: Omit<EventMap["storage_thread.gone"], "thread">): void {
    const { name: thread, publish } = this.#options;
    this.#silence = undefined;
    this.#words.setOutage("gone");
    publish("storage_thread.gone", { thread, ...why });
  }

  /** Checks the thread; call it every LOOK_MS. */
  look(): void {
    const { name: thread, nowMs, publish, threadUsage } = this.#options;
    const now = nowMs();
    // A later look means that main itself was delayed.
    const elapsedMs = Math.min(now - this.#lookedMs, 2 * LOOK_MS);
    this.#lookedMs = now;
    if (this.#silence === undefined) return;
    const { isStuck: wasStuck, stuckSeconds: seconds } = this;
    const usage = () => threadUsage(this.#words.threadId);
    this.#silence.look({ heartbeat: this.#words.heartbeat, elapsedMs, usage });
    if (this.isStuck && !wasStuck) publish("storage_thread.stuck", { thread });
    if (!this.isStuck && wasStuck) publish("storage_thread.resumed", { thread, seconds });
    this.#words.setOutage(this.isStuck ? { seconds: Math.floor(this.stuckSeconds) } : undefined);
  }
}
