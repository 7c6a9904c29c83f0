import type { MessagePort } from "node:worker_threads";
import type { EventMap } from "../../events/catalogue.ts";
import type { Board } from "./board.ts";

/** What main posts to a worker. */
export type ToWorker =
  | { readonly kind: "stop" }
  | { readonly kind: "adopt"; readonly from: number }
  /** The storage thread was started again and is reached here. */
  | { readonly kind: "storage"; readonly port: MessagePort };

/** What a worker posts to main. */
export type FromWorker =
  | Ready
  | { readonly kind: "failed"; readonly message: string }
  | Stopped;

/** What a worker says when it has stopped. */
export interface Stopped {
  readonly kind: "stopped";
  /** Objects that waited when it was told to stop, and are stored; objects that no tier took. */
  readonly stored: number;
  readonly refused: number;
  /** Requests that it broke off. */
  readonly cutRequests: number;
  /** Why it could not end something, in one line. */
  readonly failure?: string;
}

/** What a worker says when it serves: the names of its tiers, the answers its routes give. */
export interface Ready {
  readonly kind: "ready";
  readonly tiers: readonly string[];
  readonly responses: readonly { readonly method: string; readonly route: string; readonly status: string }[];
}

/** A worker's place in the cluster, and which thread fills it: a new one after each death. */
export interface Seat {
  /** 0 and up. */
  readonly place: number;
  /** Unique among all threads of the process, main's being 1: their holder number in L1. */
  readonly holder: number;
}

/**
 * Why a worker is gone: it threw what nobody caught; it ended by itself; its heartbeat stood still; it was ended as a drill; it ended before it was
 * ready; it was told to stop.
 */
export type Cause = EventMap["worker.gone"]["cause"];

/** The thread of a seat, as the supervisor wants it. */
export interface WorkerThread {
  post(message: ToWorker, ports?: readonly MessagePort[]): void;
  terminate(): Promise<void>;
}

/** What a supervisor is made of. */
export interface SupervisorOptions {
  readonly workers: number;
  readonly board: Board;
  /** How long a worker's heartbeat may stand still. */
  readonly timeoutMs: number;
  readonly nowMs: () => number;
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
  /** How many acknowledged objects wait for their store, in all workers. */
  readonly unsaved: () => number;
  /** Tidies up after a worker, before its place is filled again; what it left unsaved, a living worker is then told to adopt. */
  readonly onGone: (seat: Seat, cause: Cause) => Promise<void>;
}

/** One worker for /status. */
export interface WorkerStatus {
  readonly place: number;
  readonly holder: number;
  readonly state: "starting" | "ready" | "stopping" | "gone";
  readonly activeRequests: number;
}

interface Member {
  readonly seat: Seat;
  readonly thread: WorkerThread;
  state: WorkerStatus["state"];
  /** Why it will be gone, where that is known before it is. */
  doomedBy: Cause | undefined;
  heartbeat: number;
  /** When the heartbeat last moved. */
  seenMs: number;
  readonly started: PromiseWithResolvers<Ready>;
  /** Undefined: it ended without a word. */
  readonly stopped: PromiseWithResolvers<Stopped | undefined>;
}

/** How many looks at the heartbeats fall into one time-out. */
const LOOKS = 5;

/** Starts the workers, all or none, watches them, and fills the place of one that is gone. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #members = new Map<number, Member>();
  /** Holders whose unsaved objects nobody has adopted yet. */
  readonly #orphaned: number[] = [];
  /** What is being tidied up after workers that are gone. */
  readonly #tidying = new Set<Promise<void>>();
  #nextHolder = 2;
  #restarts = 0;
  /** From the moment all have started until they are told to stop: only then is a place filled again. */
  #running = false;
  #isStopping = false;
  /** Replacements in a row that ended before they were ready. */
  #failures = 0;
  #lookedMs = 0;
  #stopLooking = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** How often a place was filled again. */
  get restarts(): number {
    return this.#restarts;
  }

  status(): readonly WorkerStatus[] {
    return [...this.#members.values()].map(({ seat, state }) => ({
      place: seat.place,
      holder: seat.holder,
      state,
      activeRequests: this.#options.board.activeRequests(seat.place),
    }));
  }

  /** Resolves, with what the first said, when every worker is ready; if one fails, ends them all and throws what it said. */
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

  /**
   * Lets every worker finish; resolves with what they said when all have, or are gone. What a worker left unsaved that died meanwhile, or shortly before, a worker
   * that is started for it stores.
   */
  async stop(): Promise<readonly Stopped[]> {
    this.#running = false;
    this.#isStopping = true;
    this.#stopLooking();
    const said = await Promise.all([...this.#members.values()].map((member) => this.#stopMember(member)));
    await Promise.allSettled(this.#tidying);
    if (this.#options.unsaved() > 0) said.push(await this.#rescue());
    return said.filter((stopped) => stopped !== undefined);
  }

  async #stopMember(member: Member): Promise<Stopped | undefined> {
    if (member.state === "gone") return undefined;
    member.state = "stopping";
    member.thread.post({ kind: "stop" });
    const stopped = await member.stopped.promise;
    await member.thread.terminate();
    return stopped;
  }

  async #rescue(): Promise<Stopped | undefined> {
    const member = this.#fill(0);
    try {
      await member.started.promise;
    } catch {
      return undefined;
    }
    this.#adopt(member);
    return await this.#stopMember(member);
  }

  /** Posts to the worker of a holder, if it is there. */
  post(holder: number, message: ToWorker, ports: readonly MessagePort[]): void {
    for (const { seat, thread, state } of this.#members.values()) {
      if (seat.holder === holder && state !== "gone") thread.post(message, ports);
    }
  }

  /** Ends a worker's thread in the middle of what it does, as a crash would; its place is filled again. For drills and tests. */
  async kill(place: number): Promise<void> {
    const member = this.#members.get(place);
    if (member === undefined) return;
    member.doomedBy ??= "killed";
    await member.thread.terminate();
  }

  #fill(place: number): Member {
    const seat: Seat = { place, holder: this.#nextHolder++ };
    const member: Member = {
      seat,
      state: "starting",
      doomedBy: undefined,
      heartbeat: this.#options.board.heartbeat(place),
      seenMs: this.#options.nowMs(),
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
      member.seenMs = this.#options.nowMs();
      member.started.resolve(message);
      this.#options.onReady(member.seat);
      this.#handOver();
    } else if (message.kind === "failed") {
      member.started.reject(new StartFailure(message.message));
    } else member.stopped.resolve(message);
  }

  #look(): void {
    const { board, nowMs, timeoutMs } = this.#options;
    const now = nowMs();
    // If this thread itself stood still, the workers' beats may have gone unseen.
    const late = now - this.#lookedMs > 2 * timeoutMs / LOOKS;
    this.#lookedMs = now;
    for (const member of this.#members.values()) {
      if (member.state !== "ready") continue;
      const heartbeat = board.heartbeat(member.seat.place);
      if (late || heartbeat !== member.heartbeat) member.seenMs = now;
      else if (now - member.seenMs >= timeoutMs) void this.#replaceHung(member);
      member.heartbeat = heartbeat;
    }
  }

  async #replaceHung(member: Member): Promise<void> {
    member.state = "stopping";
    await member.thread.terminate();
    await this.#gone(member, "hung");
  }

  async #exited(member: Member): Promise<void> {
    // A hung worker is tidied up after when its runtime has given it up, not when it is asked to end.
    if (member.state === "stopping" && this.#running) return;
    await this.#gone(member, causeOf(member));
  }

  async #gone(member: Member, cause: Cause): Promise<void> {
    if (member.state === "gone") return;
    if (member.state === "starting") this.#failures++;
    member.state = "gone";
    member.started.reject(new StartFailure("a worker ended before it was ready"));
    const tidying = this.#tidyUp(member.seat, cause);
    this.#tidying.add(tidying);
    member.stopped.resolve(undefined);
    await tidying;
    this.#tidying.delete(tidying);
    this.#handOver();
    if (this.#running) this.#refill(member.seat.place);
  }

  async #tidyUp(seat: Seat, cause: Cause): Promise<void> {
    await this.#options.onGone(seat, cause);
    this.#orphaned.push(seat.holder);
  }

  #handOver(): void {
    // Who stops may be past the point at which it could still store something.
    const heir = this.#isStopping ? undefined : [...this.#members.values()].find(({ state }) => state === "ready");
    if (heir !== undefined) this.#adopt(heir);
  }

  #adopt(heir: Member): void {
    for (const from of this.#orphaned.splice(0)) heir.thread.post({ kind: "adopt", from });
  }

  /** At once, or, if replacements keep failing, after a pause that doubles up to 5 s. */
  #refill(place: number): void {
    this.#restarts++;
    if (this.#failures === 0) {
      this.#fill(place);
      return;
    }
    this.#options.after(Math.min(5000, 50 * 2 ** this.#failures), () => {
      if (this.#running) this.#fill(place);
    });
  }
}

/** Why a worker that was not given up has ended. */
function causeOf({ state, doomedBy }: Member): Cause {
  if (state === "stopping") return "stopped";
  return doomedBy ?? (state === "starting" ? "not_started" : "ended");
}

/** Why a worker did not start. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
}
