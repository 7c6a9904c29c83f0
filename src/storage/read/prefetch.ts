import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/object.ts";
import type { HoldOutcome } from "../../l1/l1.ts";
import type { StorageContext } from "../context.ts";
import type { JobState, OpenJob } from "../shared/prefetch_jobs.ts";
import type { Holder, Job, Prefetch, PrefetchState } from "../storage.ts";
import type { Freshness } from "./freshness.ts";
import type { LoadController } from "./load_controller.ts";
import { type Answer, askTiersAbout } from "./many_lookup.ts";

/** Keys that L1, and then each tier, is asked about in one call. */
const PAGE_KEYS = 512;
/** Attempts to lease an object that is evicted or removed as soon as it was loaded. */
const LEASE_ATTEMPTS = 3;
/** Milliseconds between two looks at a job that a request waits for. */
const POLL_MS = 10;

/** The parts of the storage that jobs use. */
interface PrefetchParts {
  readonly loads: Pick<LoadController, "fetch" | "maxFetches">;
  readonly freshness: Pick<Freshness, "verifyMany">;
}

/** Runs the prefetch jobs that requests to this thread begin, and answers for those of all threads. */
export class PrefetchController {
  readonly #context: StorageContext;
  readonly #parts: PrefetchParts;
  readonly #running = new Set<PrefetchRun>();

  constructor(context: StorageContext, parts: PrefetchParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Begins a job, and returns its id, under which it leases what it leases. Throws overloaded. */
  begin(keys: readonly ObjectKey[], prefetch: Prefetch): Holder {
    const { clock, shared: { jobs } } = this.#context;
    const [high = 0, low = 0] = crypto.getRandomValues(new Int32Array(2));
    const id = { high, low };
    const { owner, mode, leaseMs, deadlineMs } = prefetch;
    const leaseEndsMs = leaseMs === undefined ? undefined : clock.nowMs() + deadlineMs + leaseMs;
    const job = jobs.open({ id, owner, mode, keys: keys.length, leaseEndsMs });
    if (job === undefined) {
      throw new VitrineError("overloaded", `begin prefetch: ${jobs.limit} jobs are running`, {
        details: { limit: jobs.limit },
      });
    }
    const run = new PrefetchRun(this.#context, { ...prefetch, ...this.#parts, id, job, keys });
    this.#running.add(run);
    void run.run().finally(() => this.#running.delete(run));
    return id;
  }

  /** A job as it is when it has ended, or after `waitMs`; undefined: there is none. */
  async state({ id, owner }: Job, waitMs: number): Promise<PrefetchState | undefined> {
    const { clock, timers, shared: { jobs } } = this.#context;
    const untilMs = clock.monotonicMs() + waitMs;
    const isOver = (nowMs: number): boolean => nowMs >= untilMs || !jobs.isRunning(id, owner, nowMs);
    if (!isOver(clock.monotonicMs())) {
      await new Promise<void>((resolve) => {
        const stop = timers.every(POLL_MS, () => {
          if (!isOver(clock.monotonicMs())) return;
          stop();
          resolve();
        });
      });
    }
    return jobs.view(id, owner, clock.monotonicMs());
  }

  /** Ends a job, if it runs, and its leases, and forgets it; false if there is none. */
  cancel({ id, owner }: Job, tenant: string): boolean {
    const { clock, l1, shared: { jobs } } = this.#context;
    if (!jobs.remove(id, owner, clock.monotonicMs())) return false;
    l1.release(id, tenant);
    return true;
  }

  /** Stops the jobs of this thread. */
  stop(): void {
    for (const run of this.#running) run.end("stopped");
  }
}

/** Options of a PrefetchRun. */
interface RunOptions extends Prefetch, PrefetchParts {
  readonly id: Holder;
  readonly job: OpenJob;
  readonly keys: readonly ObjectKey[];
}

/** A key that is to be brought into L1. */
interface Wanted {
  readonly key: ObjectKey;
  readonly index: number;
  /** True if L1 had it a moment ago. */
  readonly isInL1: boolean;
}

/** One job in the thread that runs it. */
class PrefetchRun {
  readonly #context: StorageContext;
  readonly #options: RunOptions;
  readonly #startMs: number;
  readonly #leaseUntilMs: number;
  /** True once a key cannot be had, in mode prefix. */
  #isBroken = false;
  /** True once clients have as many leases as they may. */
  #isFull = false;
  #isEnded = false;

  constructor(context: StorageContext, options: RunOptions) {
    this.#context = context;
    this.#options = options;
    this.#startMs = context.clock.monotonicMs();
    this.#leaseUntilMs = this.#startMs + options.deadlineMs + (options.leaseMs ?? 0);
  }

  async run(): Promise<void> {
    const { deadlineMs, job, keys } = this.#options;
    const { timers } = this.#context;
    const stopTimer = timers.every(deadlineMs, () => this.end("deadline"));
    try {
      for (let start = 0; start < keys.length && this.#goesOn; start += PAGE_KEYS) {
        await this.#page(keys.slice(start, start + PAGE_KEYS), start);
      }
      this.end("done");
    } catch (error) {
      if (!(error instanceof VitrineError)) throw error;
      // Of L1, if this thread was declared dead while it still runs.
      this.end("stopped");
    } finally {
      stopTimer();
      job.settle();
    }
  }

  /** Ends the job, unless it has ended. Loads in progress go on, for whoever reads the objects. */
  end(state: Exclude<JobState, "running">): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const { job } = this.#options;
    const { clock, publish } = this.#context;
    const nowMs = clock.monotonicMs();
    const outcome = job.end(state, nowMs) ? state : job.isRemoved ? "cancelled" : "stopped";
    const counts = { hit: 0, loaded: 0, miss: 0, not_attempted: 0, refused_no_room: 0, failed: 0 };
    for (const each of job.outcomes()) if (each !== "pending" && each !== "loading") counts[each] += 1;
    const { not_attempted: notAttempted, refused_no_room: noRoom, hit, loaded, miss, failed } = counts;
    const seconds = (nowMs - this.#startMs) / 1000;
    publish("sm.prefetch.ended", {
      ...this.#label(),
      outcome,
      hit,
      loaded,
      miss,
      notAttempted,
      noRoom,
      failed,
      seconds,
    });
  }

  get #goesOn(): boolean {
    return this.#options.job.isRunning && !this.#isBroken;
  }

  async #page(keys: readonly ObjectKey[], start: number): Promise<void> {
    const { freshness, job, mode } = this.#options;
    const verifying = freshness.verifyMany(keys);
    if (verifying !== undefined) await verifying;
    const inL1 = this.#context.l1.has(keys);
    const all = keys.map((key, i): Wanted => ({ key, index: start + i, isInL1: inL1[i] === true }));
    if (mode === "prefix") {
      const hole = inL1.indexOf(false);
      await this.#bringAll(hole === -1 ? all : all.slice(0, hole));
      if (hole !== -1 && this.#goesOn) await this.#bringAll(await this.#found(all.slice(hole)));
      return;
    }
    const known = all.filter(({ isInL1 }) => isInL1);
    const taken = this.#take(known.map(({ key }) => key));
    const rest = all.filter(({ isInL1 }) => !isInL1);
    for (const [i, wanted] of known.entries()) {
      if (taken[i] === "held") job.set(wanted.index, "hit");
      else if (taken[i] === "full") this.#refuse(wanted.index);
      // It was evicted or removed since it was found.
      else rest.push({ ...wanted, isInL1: false });
    }
    if (this.#goesOn) await this.#bringAll(await this.#found(rest));
  }

  /** Those of the keys that some level has, up to the first hole in mode prefix. The others get their outcome. */
  async #found(keys: readonly Wanted[]): Promise<readonly Wanted[]> {
    const { job, mode } = this.#options;
    const absent = keys.filter(({ isInL1 }) => !isInL1);
    const answers = (await this.#ask(absent.map(({ key }) => key))).values();
    const found: Wanted[] = [];
    for (const wanted of keys) {
      const answer = wanted.isInL1 ? undefined : answers.next().value;
      if (answer === undefined || answer.levels !== 0) {
        found.push(answer === undefined ? wanted : { ...wanted, isInL1: (answer.levels & 1) === 1 });
        continue;
      }
      job.set(wanted.index, answer.isUnknown ? "failed" : "miss");
      if (mode === "full") continue;
      await this.#bringAll(found);
      this.#isBroken = true;
      return [];
    }
    return found;
  }

  async #ask(keys: readonly ObjectKey[]): Promise<readonly Answer[]> {
    try {
      return await askTiersAbout(this.#context, keys, { allTiers: false, failed: new Map() });
    } catch (error) {
      if (!(error instanceof VitrineError)) throw error;
      // A key has been changing for too long.
      return keys.map(() => ({ levels: 0, isUnknown: true }));
    }
  }

  /** Brings the objects into L1 and leases them, some at the same time; in mode prefix they are leased in order. */
  async #bringAll(all: readonly Wanted[]): Promise<void> {
    const { job, mode, loads } = this.#options;
    let before = Promise.resolve(true);
    const waiting = all.values();
    const work = async (): Promise<void> => {
      for (const wanted of waiting) {
        if (!this.#goesOn) return;
        const turn = mode === "prefix" ? before : Promise.resolve(true);
        const { promise, resolve } = Promise.withResolvers<boolean>();
        before = promise;
        const outcome = await this.#bring(wanted, turn);
        if (outcome === "full") this.#refuse(wanted.index);
        else if (outcome !== "unwanted") job.set(wanted.index, outcome);
        const isGood = outcome === "hit" || outcome === "loaded";
        if (!isGood && mode === "prefix") this.#isBroken = true;
        resolve(await turn && isGood);
      }
    };
    await Promise.all(Array.from({ length: Math.min(loads.maxFetches, all.length) }, work));
  }

  /** `turn`: resolves when the object may be leased, with false if it must not be. */
  async #bring(
    { key, index, isInL1 }: Wanted,
    turn: Promise<boolean>,
  ): Promise<"hit" | "loaded" | "miss" | "refused_no_room" | "failed" | "full" | "unwanted"> {
    const { job, loads, leaseMs } = this.#options;
    const isWanted = (): boolean => {
      if (!this.#goesOn || this.#isFull) return false;
      job.set(index, "loading");
      return true;
    };
    let outcome: "hit" | "loaded" = isInL1 ? "hit" : "loaded";
    for (let attempt = 0, isThere = isInL1; attempt < LEASE_ATTEMPTS; attempt += 1) {
      if (!isThere) {
        const fetched = await loads.fetch(key, isWanted);
        if (fetched === "no_room") return "refused_no_room";
        if (fetched === "unwanted") return this.#isFull && this.#goesOn ? "full" : "unwanted";
        if (fetched !== "loaded") return fetched;
        outcome = "loaded";
      }
      if (leaseMs === undefined || !await turn) return outcome;
      const [held] = this.#take([key]);
      if (held === undefined) return "unwanted";
      if (held !== "absent") return held === "held" ? outcome : "full";
      // It was evicted or removed since it was found.
      isThere = false;
    }
    return "refused_no_room";
  }

  /** Leases objects that L1 has, if they are to be leased; nothing once the job has ended. */
  #take(keys: readonly ObjectKey[]): readonly HoldOutcome[] {
    const { id, job, leaseMs } = this.#options;
    const { l1 } = this.#context;
    if (keys.length === 0 || !job.isRunning) return [];
    if (leaseMs === undefined) return keys.map(() => "held");
    const outcomes = l1.hold(keys, { holder: id, untilMs: this.#leaseUntilMs });
    // Another thread may have ended the job, and released its leases, a moment before.
    if (job.isRemoved) l1.release(id, this.#label().tenant);
    return outcomes;
  }

  #refuse(index: number): void {
    const { job, mode } = this.#options;
    job.set(index, "refused_no_room");
    this.#isFull = true;
    if (mode === "prefix") this.#isBroken = true;
    this.#context.publish("sm.lease.refused", { ...this.#label(), keys: 1 });
  }

  #label(): { readonly tenant: string; readonly requestId: string | undefined } {
    const [first] = this.#options.keys;
    return { tenant: first?.tenant ?? "", requestId: first?.requestId };
  }
}
