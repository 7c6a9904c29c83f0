import type { MessagePort } from "node:worker_threads";
import type { WorkerState } from "../../subscribers/metrics/metric.ts";
import type { Board } from "./board.ts";
import { Leftovers, Silence, type SystemTime } from "./liveness.ts";
import type { Cause, FromWorker, Ready, Stopped, ToWorker, WorkerRef } from "./messages.ts";

/** A worker's thread. */
export interface WorkerThread {
  post(message: ToWorker, ports?: readonly MessagePort[]): void;
  terminate(): Promise<void>;
}

/** Options of a Supervisor. */
export interface SupervisorOptions extends SystemTime {
  readonly workers: number;
  /**
   * Seats in shared memory. With one more than workers, the replacement of a worker that hangs starts before that
   * worker is ended.
   */
  readonly slots: number;
  readonly board: Board;
  /** Maximum time without a heartbeat, in time that the worker could have used (Silence). */
  readonly timeoutMs: number;
  /** True if a thread has ended when `terminate` resolves. */
  readonly stopsThreads: boolean;
  readonly spawn: (
    worker: WorkerRef,
    events: {
      readonly onMessage: (message: FromWorker) => void;
      /** Called for an uncaught exception; `onExit` follows. */
      readonly onError: (error: unknown) => void;
      readonly onExit: () => void;
    },
  ) => WorkerThread;
  /** A worker is ready. */
  readonly onReady: (worker: WorkerRef) => void;
  /**
   * Cleans up after a worker before its slot is filled again. `mayRun`: its thread was told to end and may still run.
   */
  readonly onGone: (worker: WorkerRef, end: { readonly cause: Cause; readonly mayRun: boolean }) => Promise<void>;
  /** A thread that was told to end still exists after another time-out. */
  readonly onStuck: (worker: WorkerRef) => void;
}

/** One worker for /status. */
export interface WorkerStatus {
  readonly slot: number;
  readonly workerId: number;
  /** stuck: it hung, was told to end, and its thread still exists. */
  readonly state: WorkerState;
  readonly activeRequests: number;
}

interface Member {
  readonly worker: WorkerRef;
  readonly thread: WorkerThread;
  state: Exclude<WorkerStatus["state"], "stuck">;
  /** The cause of its end, if it is known before the end. */
  doomedBy: Cause | undefined;
  readonly silence: Silence;
  readonly started: PromiseWithResolvers<Ready>;
  /** Undefined if it ended without a report. */
  readonly stopped: PromiseWithResolvers<Stopped | undefined>;
}

/** Number of looks at the heartbeats per time-out. */
const LOOKS = 5;
/** Maximum duration of a start, in time-outs. */
const START_TIMEOUTS = 6;
/** Number of time-outs after which a silent worker is ended even if its replacement is not ready. */
const LAST_TIMEOUTS = 2;

/**
 * Starts the workers, all or none, watches them, and replaces those that are gone. Hanging workers are replaced one at
 * a time, and only once the replacement is ready: if the machine is too busy to start a worker, silence proves nothing.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  /** By slot. */
  readonly #members = new Map<number, Member>();
  readonly #leftovers: Leftovers;
  /** Clean-ups in progress after workers that are gone. */
  readonly #cleanups = new Set<Promise<void>>();
  #nextHolder = 2;
  #restarts = 0;
  /** True from the time when all have started until the stop. Places are filled again only during this time. */
  #running = false;
  /** Consecutive replacements that ended before they were ready. */
  #failures = 0;
  /** A worker that hangs, and its replacement. */
  #succession: { readonly silent: Member; readonly replacement: Member } | undefined;
  #lookedMs = 0;
  #stopLooking = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#leftovers = new Leftovers(options);
  }

  /** The number of replaced workers. */
  get restarts(): number {
    return this.#restarts;
  }

  status(): readonly WorkerStatus[] {
    const members = [...this.#members.values()]
      .filter(({ worker, state }) => state !== "gone" || !this.#leftovers.has(worker.slot))
      .map(({ worker, state }) => ({
        ...worker,
        state,
        activeRequests: this.#options.board.activeRequests(worker.slot),
      }));
    return [...members, ...this.#leftovers.status()];
  }

  /**
   * Resolves with the first worker's report when all are ready. If one fails, ends all of them and throws StartFailure.
   */
  async start(): Promise<Ready> {
    const starting = Array.from({ length: this.#options.workers }, (_, slot) => this.#fill(slot).started.promise);
    let first: Ready | undefined;
    try {
      [first] = await Promise.all(starting);
    } catch (error) {
      await Promise.allSettled(starting);
      await Promise.all([...this.#members.values()].map(({ thread }) => thread.terminate()));
      throw error;
    }
    this.#running = true;
    this.#lookedMs = this.#options.nowMs();
    this.#stopLooking = this.#options.every(this.#options.timeoutMs / LOOKS, () => this.#look());
    if (first === undefined) throw new RangeError("start workers: none");
    return first;
  }

  /** Lets every worker finish. Resolves with their reports when all have stopped or are gone. */
  async stop(): Promise<readonly Stopped[]> {
    this.#running = false;
    this.#stopLooking();
    const said = await Promise.all([...this.#members.values()].map((member) => this.#stopMember(member)));
    await Promise.allSettled(this.#cleanups);
    return said.filter((stopped) => stopped !== undefined);
  }

  async #stopMember(member: Member): Promise<Stopped | undefined> {
    // A worker that hangs receives no messages.
    if (member.state === "gone" || member.doomedBy === "hung") return undefined;
    if (member.state !== "stopping") member.thread.post({ kind: "stop" });
    member.state = "stopping";
    const stopped = await member.stopped.promise;
    await member.thread.terminate();
    return stopped;
  }

  /** Posts to the worker with a worker id, if it exists. */
  post(workerId: number, message: ToWorker, ports: readonly MessagePort[] = []): void {
    for (const { worker, thread, state } of this.#members.values()) {
      if (worker.workerId === workerId && state !== "gone") thread.post(message, ports);
    }
  }

  /** Posts to all workers that are not gone. */
  postAll(message: ToWorker): void {
    for (const { thread, state } of this.#members.values()) if (state !== "gone") thread.post(message);
  }

  /** Ends a worker's thread at once, like a crash; its slot is filled again. For drills and tests. */
  async kill(slot: number): Promise<void> {
    const member = this.#members.get(slot);
    if (member === undefined) return;
    member.doomedBy ??= "killed";
    await member.thread.terminate();
  }

  #fill(slot: number): Member {
    const worker: WorkerRef = { slot, workerId: this.#nextHolder++ };
    const { board } = this.#options;
    board.clear(slot);
    const member: Member = {
      worker,
      state: "starting",
      doomedBy: undefined,
      silence: new Silence(board.heartbeat(slot)),
      started: Promise.withResolvers(),
      stopped: Promise.withResolvers(),
      thread: this.#options.spawn(worker, {
        onMessage: (message) => this.#hear(member, message),
        onError: () => member.doomedBy ??= "threw",
        onExit: () => void this.#exited(member),
      }),
    };
    // Nothing waits for the start of a replacement: if it fails, it exits, and its slot is filled again.
    member.started.promise.catch(() => {});
    this.#members.set(slot, member);
    return member;
  }

  #hear(member: Member, message: FromWorker): void {
    if (message.kind === "ready") {
      if (member.state === "starting") member.state = "ready";
      this.#failures = 0;
      member.silence.restart();
      member.started.resolve(message);
      this.#options.onReady(member.worker);
      this.#settle();
    } else if (message.kind === "failed") {
      member.started.reject(new StartFailure(message.message));
    } else member.stopped.resolve(message);
  }

  #look(): void {
    const { board, nowMs, timeoutMs, threadUsage } = this.#options;
    const now = nowMs();
    // If this look is late, this thread was delayed, and the others may have been, too.
    const elapsedMs = Math.min(now - this.#lookedMs, timeoutMs / LOOKS);
    this.#lookedMs = now;
    for (const { worker, silence } of this.#members.values()) {
      const usage = () => threadUsage(board.threadId(worker.slot));
      silence.look({ heartbeat: board.heartbeat(worker.slot), elapsedMs, usage });
    }
    this.#leftovers.look(elapsedMs);
    this.#settle();
    if (this.#succession === undefined) this.#judge();
  }

  /** Finds a worker to replace. */
  #judge(): void {
    const members = [...this.#members.values()];
    const silent = members.filter((member) => member.silence.ms >= this.#limitOf(member));
    const unready = silent.find(({ state }) => state !== "ready");
    const busy = members.find(({ state, silence }) =>
      state === "ready" && silence.isBusy && silence.ms >= this.#options.timeoutMs / 2
    );
    // Waiting workers may wait for a busy one, so the busy one is replaced first, once its time is over.
    const hung = unready ?? (busy === undefined ? silent[0] : silent.find((member) => member === busy));
    if (hung === undefined) return;
    if (hung.state === "stopping") return this.#abandon(hung);
    if (hung.state === "starting") return void this.#end(hung);
    // Not while another worker is being replaced, unless that fails, maybe because of this one.
    const isBusy = members.some(({ state, doomedBy }) =>
      state === "starting" || state === "gone" || doomedBy === "hung"
    );
    if (isBusy && this.#failures === 0) return;
    const slot = this.#freePlace();
    if (slot === undefined) void this.#end(hung);
    else this.#succession = { silent: hung, replacement: this.#fill(slot) };
  }

  #limitOf({ state, doomedBy }: Member): number {
    const { timeoutMs } = this.#options;
    if (state === "ready" || (state === "stopping" && doomedBy === "hung")) return timeoutMs;
    return state === "starting" ? START_TIMEOUTS * timeoutMs : Infinity;
  }

  /** Decides between a worker that hung and its replacement, as soon as possible. */
  #settle(): void {
    if (this.#succession === undefined) return;
    const { silent, replacement } = this.#succession;
    const { board, timeoutMs } = this.#options;
    const isOver = silent.state !== "ready" || replacement.state !== "starting" ||
      silent.silence.ms >= LAST_TIMEOUTS * timeoutMs;
    if (!isOver) return;
    this.#succession = undefined;
    const hangs = silent.silence.ms >= timeoutMs && silent.silence.isUnbroken(board.heartbeat(silent.worker.slot));
    if (silent.state === "ready" && hangs) void this.#end(silent);
    else if (silent.state === "ready" && replacement.state !== "gone") void this.#retire(replacement);
  }

  /** Ends the thread of a worker that hangs. */
  async #end(member: Member): Promise<void> {
    member.state = "stopping";
    member.doomedBy = "hung";
    member.silence.restart();
    await member.thread.terminate();
    await this.#gone(member, { cause: "hung", mayRun: !this.#options.stopsThreads });
  }

  /** Abandons a thread that was told to end and has not. */
  #abandon(member: Member): void {
    void this.#gone(member, { cause: "hung", mayRun: true });
  }

  /** Stops a worker that is not needed. */
  async #retire(member: Member): Promise<void> {
    member.state = "stopping";
    member.thread.post({ kind: "stop" });
    await member.stopped.promise;
    await member.thread.terminate();
    await this.#gone(member, { cause: "stopped", mayRun: false });
  }

  async #exited(member: Member): Promise<void> {
    if (member.doomedBy === "hung") {
      // A runtime that cannot stop threads reports the end immediately.
      if (!this.#options.stopsThreads) return;
      this.#leftovers.remove(member.worker);
    }
    await this.#gone(member, { cause: causeOf(member), mayRun: false });
  }

  async #gone(member: Member, end: { readonly cause: Cause; readonly mayRun: boolean }): Promise<void> {
    if (member.state === "gone") return;
    if (member.state === "starting") this.#failures++;
    member.state = "gone";
    member.started.reject(new StartFailure("a worker ended before it was ready"));
    if (this.#running && end.cause !== "stopped") this.#restarts++;
    if (end.mayRun) this.#leftovers.add(member.worker);
    const cleanup = this.#options.onGone(member.worker, end);
    this.#cleanups.add(cleanup);
    member.stopped.resolve(undefined);
    await cleanup;
    this.#cleanups.delete(cleanup);
    this.#settle();
    if (this.#running) this.#refill(member.worker.slot);
  }

  /** A free slot, if there is one. */
  #freePlace(): number | undefined {
    const slots = Array.from({ length: this.#options.slots }, (_, slot) => slot);
    return slots.find((slot) => !this.#members.has(slot) && !this.#leftovers.has(slot));
  }

  /**
   * Fills an empty slot if a worker is missing: at once, or after a pause that doubles up to 5 s if replacements keep
   * failing.
   */
  #refill(empty: number): void {
    const others = [...this.#members.values()].filter(({ worker, state }) =>
      worker.slot !== empty && state !== "stopping"
    );
    if (others.length >= this.#options.workers) {
      this.#members.delete(empty);
      return;
    }
    const fill = () => {
      // Its thread may still write to its slot.
      const other = this.#leftovers.has(empty) ? this.#freePlace() : undefined;
      if (other !== undefined) this.#members.delete(empty);
      this.#fill(other ?? empty);
    };
    if (this.#failures === 0) fill();
    else {
      this.#options.after(Math.min(5000, 50 * 2 ** this.#failures), () => {
        if (this.#running) fill();
      });
    }
  }
}

/** The cause of the end of a worker that was not abandoned. */
function causeOf({ state, doomedBy }: Member): Cause {
  if (state === "stopping") return doomedBy === "hung" ? "hung" : "stopped";
  return doomedBy ?? (state === "starting" ? "not_started" : "ended");
}

/** A worker did not start. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
}
