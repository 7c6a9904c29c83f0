import type { MessagePort } from "node:worker_threads";
import type { WorkerState } from "../../subscribers/metrics/sources.ts";
import type { ThreadUsage } from "../../runtime/thread_usage.ts";
import type { Board } from "./board.ts";
import { Leftovers, Silence } from "./liveness.ts";
import type { Cause, FromWorker, Ready, Seat, Stopped, ToWorker } from "./worker_messages.ts";

/** The thread of a seat, as the supervisor wants it. */
export interface WorkerThread {
  post(message: ToWorker, ports?: readonly MessagePort[]): void;
  terminate(): Promise<void>;
}

/** What a supervisor is made of. */
export interface SupervisorOptions {
  readonly workers: number;
  /**
   * Seats in shared memory. With one more than workers, the replacement of a worker that hangs starts before that
   * worker is ended.
   */
  readonly places: number;
  readonly board: Board;
  /** How long a worker's heartbeat may stand still, in time that the worker could have used (Silence). */
  readonly timeoutMs: number;
  /** Whether a thread that was told to end has ended when `terminate` resolves. */
  readonly stopsThreads: boolean;
  readonly nowMs: () => number;
  readonly threadUsage: (threadId: number) => ThreadUsage | "ended" | undefined;
  /** Calls back at an interval until the function it returns is called. */
  readonly every: (ms: number, callback: () => void) => () => void;
  readonly after: (ms: number, callback: () => void) => void;
  readonly spawn: (
    seat: Seat,
    events: {
      readonly onMessage: (message: FromWorker) => void;
      /** It threw what nobody caught; `onExit` follows. */
      readonly onError: (error: unknown) => void;
      readonly onExit: () => void;
    },
  ) => WorkerThread;
  /** A worker is ready. */
  readonly onReady: (seat: Seat) => void;
  /**
   * Tidies up after a worker, before its place is filled again. `mayRun`: its thread was told to end and may not have.
   */
  readonly onGone: (seat: Seat, end: { readonly cause: Cause; readonly mayRun: boolean }) => Promise<void>;
  /** A thread that was told to end is still there after one more time-out. */
  readonly onStuck: (seat: Seat) => void;
}

/** One worker for /status. */
export interface WorkerStatus {
  readonly place: number;
  readonly holder: number;
  /** stuck: it hung, was told to end, and its thread is still there. */
  readonly state: WorkerState;
  readonly activeRequests: number;
}

interface Member {
  readonly seat: Seat;
  readonly thread: WorkerThread;
  state: Exclude<WorkerStatus["state"], "stuck">;
  /** Why it will be gone, where that is known before it is. */
  doomedBy: Cause | undefined;
  readonly silence: Silence;
  readonly started: PromiseWithResolvers<Ready>;
  /** Undefined: it ended without a word. */
  readonly stopped: PromiseWithResolvers<Stopped | undefined>;
}

/** How many looks at the heartbeats fall into one time-out. */
const LOOKS = 5;
/** Time-outs that a start may take. */
const START_TIMEOUTS = 6;
/** Time-outs after which a silent worker is ended although its replacement is not ready. */
const LAST_TIMEOUTS = 2;

/**
 * Starts the workers, all or none, watches them, and fills the place of one that is gone. Of those that hang one is
 * replaced at a time, and only when its replacement is ready: a machine too busy to start a worker is too busy to judge
 * one by.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  /** By place. */
  readonly #members = new Map<number, Member>();
  readonly #leftovers: Leftovers;
  /** What is being tidied up after workers that are gone. */
  readonly #tidying = new Set<Promise<void>>();
  #nextHolder = 2;
  #restarts = 0;
  /** From the moment all have started until they are told to stop: only then is a place filled again. */
  #running = false;
  /** Replacements in a row that ended before they were ready. */
  #failures = 0;
  /** A worker that hangs, and the one that is to follow it. */
  #succession: { readonly silent: Member; readonly heir: Member } | undefined;
  #lookedMs = 0;
  #stopLooking = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#leftovers = new Leftovers(options);
  }

  /** How often a place was filled again. */
  get restarts(): number {
    return this.#restarts;
  }

  status(): readonly WorkerStatus[] {
    const members = [...this.#members.values()]
      .filter(({ seat, state }) => state !== "gone" || !this.#leftovers.has(seat.place))
      .map(({ seat, state }) => ({
        ...seat,
        state,
        activeRequests: this.#options.board.activeRequests(seat.place),
      }));
    return [...members, ...this.#leftovers.status()];
  }

  /**
   * Resolves, with what the first said, when every worker is ready; if one fails, ends them all and throws what it
   * said.
   */
  async start(): Promise<Ready> {
    const starting = Array.from({ length: this.#options.workers }, (_, place) => this.#fill(place).started.promise);
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

  /** Lets every worker finish; resolves with what they said when all have, or are gone. */
  async stop(): Promise<readonly Stopped[]> {
    this.#running = false;
    this.#stopLooking();
    const said = await Promise.all([...this.#members.values()].map((member) => this.#stopMember(member)));
    await Promise.allSettled(this.#tidying);
    return said.filter((stopped) => stopped !== undefined);
  }

  async #stopMember(member: Member): Promise<Stopped | undefined> {
    // One that hangs hears nothing.
    if (member.state === "gone" || member.doomedBy === "hung") return undefined;
    if (member.state !== "stopping") member.thread.post({ kind: "stop" });
    member.state = "stopping";
    const stopped = await member.stopped.promise;
    await member.thread.terminate();
    return stopped;
  }

  /** Posts to the worker of a holder, if it is there. */
  post(holder: number, message: ToWorker, ports: readonly MessagePort[] = []): void {
    for (const { seat, thread, state } of this.#members.values()) {
      if (seat.holder === holder && state !== "gone") thread.post(message, ports);
    }
  }

  /** Posts to every worker that is there. */
  postAll(message: ToWorker): void {
    for (const { thread, state } of this.#members.values()) if (state !== "gone") thread.post(message);
  }

  /**
   * Ends a worker's thread in the middle of what it does, as a crash would; its place is filled again. For drills and
   * tests.
   */
  async kill(place: number): Promise<void> {
    const member = this.#members.get(place);
    if (member === undefined) return;
    member.doomedBy ??= "killed";
    await member.thread.terminate();
  }

  #fill(place: number): Member {
    const seat: Seat = { place, holder: this.#nextHolder++ };
    const { board } = this.#options;
    board.clear(place);
    const member: Member = {
      seat,
      state: "starting",
      doomedBy: undefined,
      silence: new Silence(board.heartbeat(place)),
      started: Promise.withResolvers(),
      stopped: Promise.withResolvers(),
      thread: this.#options.spawn(seat, {
        onMessage: (message) => this.#hear(member, message),
        onError: () => member.doomedBy ??= "threw",
        onExit: () => void this.#exited(member),
      }),
    };
    // Nobody waits for a replacement's start: if it fails, it exits, and the place is filled again.
    member.started.promise.catch(() => {});
    this.#members.set(place, member);
    return member;
  }

  #hear(member: Member, message: FromWorker): void {
    if (message.kind === "ready") {
      if (member.state === "starting") member.state = "ready";
      this.#failures = 0;
      member.silence.restart();
      member.started.resolve(message);
      this.#options.onReady(member.seat);
      this.#settle();
    } else if (message.kind === "failed") {
      member.started.reject(new StartFailure(message.message));
    } else member.stopped.resolve(message);
  }

  #look(): void {
    const { board, nowMs, timeoutMs, threadUsage } = this.#options;
    const now = nowMs();
    // By as much as this look comes late, this thread was kept waiting, and so may the others have been.
    const elapsedMs = Math.min(now - this.#lookedMs, timeoutMs / LOOKS);
    this.#lookedMs = now;
    for (const { seat, silence } of this.#members.values()) {
      const usage = () => threadUsage(board.threadId(seat.place));
      silence.look({ heartbeat: board.heartbeat(seat.place), elapsedMs, usage });
    }
    this.#leftovers.look(elapsedMs);
    this.#settle();
    if (this.#succession === undefined) this.#judge();
  }

  /** Looks for a worker to replace. */
  #judge(): void {
    const members = [...this.#members.values()];
    const silent = members.filter((member) => member.silence.ms >= this.#limitOf(member));
    const unready = silent.find(({ state }) => state !== "ready");
    const busy = members.find(({ state, silence }) =>
      state === "ready" && silence.isBusy && silence.ms >= this.#options.timeoutMs / 2
    );
    // Those that wait may do so because of one that is busy: its turn is first, once its time is over.
    const hung = unready ?? (busy === undefined ? silent[0] : silent.find((member) => member === busy));
    if (hung === undefined) return;
    if (hung.state === "stopping") return this.#giveUp(hung);
    if (hung.state === "starting") return void this.#end(hung);
    // Not while another is being replaced, unless that fails, maybe because of this one.
    const isBusy = members.some(({ state, doomedBy }) =>
      state === "starting" || state === "gone" || doomedBy === "hung"
    );
    if (isBusy && this.#failures === 0) return;
    const place = this.#freePlace();
    if (place === undefined) void this.#end(hung);
    else this.#succession = { silent: hung, heir: this.#fill(place) };
  }

  #limitOf({ state, doomedBy }: Member): number {
    const { timeoutMs } = this.#options;
    if (state === "ready" || (state === "stopping" && doomedBy === "hung")) return timeoutMs;
    return state === "starting" ? START_TIMEOUTS * timeoutMs : Infinity;
  }

  /** Decides between a worker that hung and its heir, as soon as that can be decided. */
  #settle(): void {
    if (this.#succession === undefined) return;
    const { silent, heir } = this.#succession;
    const { board, timeoutMs } = this.#options;
    const isOver = silent.state !== "ready" || heir.state !== "starting" ||
      silent.silence.ms >= LAST_TIMEOUTS * timeoutMs;
    if (!isOver) return;
    this.#succession = undefined;
    const hangs = silent.silence.ms >= timeoutMs && silent.silence.isUnbroken(board.heartbeat(silent.seat.place));
    if (silent.state === "ready" && hangs) void this.#end(silent);
    else if (silent.state === "ready" && heir.state !== "gone") void this.#retire(heir);
  }

  /** Ends the thread of a worker that hangs. */
  async #end(member: Member): Promise<void> {
    member.state = "stopping";
    member.doomedBy = "hung";
    member.silence.restart();
    await member.thread.terminate();
    await this.#gone(member, { cause: "hung", mayRun: !this.#options.stopsThreads });
  }

  /** Goes on without a thread that was told to end and has not. */
  #giveUp(member: Member): void {
    void this.#gone(member, { cause: "hung", mayRun: true });
  }

  /** Lets a worker that is one too many finish. */
  async #retire(member: Member): Promise<void> {
    member.state = "stopping";
    member.thread.post({ kind: "stop" });
    await member.stopped.promise;
    await member.thread.terminate();
    await this.#gone(member, { cause: "stopped", mayRun: false });
  }

  async #exited(member: Member): Promise<void> {
    if (member.doomedBy === "hung") {
      // A runtime that cannot stop threads says at once that it has.
      if (!this.#options.stopsThreads) return;
      this.#leftovers.remove(member.seat);
    }
    await this.#gone(member, { cause: causeOf(member), mayRun: false });
  }

  async #gone(member: Member, end: { readonly cause: Cause; readonly mayRun: boolean }): Promise<void> {
    if (member.state === "gone") return;
    if (member.state === "starting") this.#failures++;
    member.state = "gone";
    member.started.reject(new StartFailure("a worker ended before it was ready"));
    if (this.#running && end.cause !== "stopped") this.#restarts++;
    if (end.mayRun) this.#leftovers.add(member.seat);
    const tidying = this.#options.onGone(member.seat, end);
    this.#tidying.add(tidying);
    member.stopped.resolve(undefined);
    await tidying;
    this.#tidying.delete(tidying);
    this.#settle();
    if (this.#running) this.#refill(member.seat.place);
  }

  /** A place nobody has, if there is one. */
  #freePlace(): number | undefined {
    const places = Array.from({ length: this.#options.places }, (_, place) => place);
    return places.find((place) => !this.#members.has(place) && !this.#leftovers.has(place));
  }

  /**
   * Fills a place that is empty, if a worker is missing: at once, or, if replacements keep failing, after a pause that
   * doubles up to 5 s.
   */
  #refill(empty: number): void {
    const others = [...this.#members.values()].filter(({ seat, state }) =>
      seat.place !== empty && state !== "stopping"
    );
    if (others.length >= this.#options.workers) {
      this.#members.delete(empty);
      return;
    }
    const fill = () => {
      // Its thread may still write to its place.
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

/** Why a worker that was not given up has ended. */
function causeOf({ state, doomedBy }: Member): Cause {
  if (state === "stopping") return doomedBy === "hung" ? "hung" : "stopped";
  return doomedBy ?? (state === "starting" ? "not_started" : "ended");
}

/** Why a worker did not start. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
}
