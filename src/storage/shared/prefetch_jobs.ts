import { SharedTable, type SharedWords, viewWords } from "../../core/shared_table.ts";
import { JOB, planSharedKeys, type SharedKeysLayout, type SharedKeysMemory } from "./memory.ts";

/** 64 random bits that name a job to its owner, or a hash of who that is. */
export interface Name64 {
  readonly high: number;
  readonly low: number;
}

/** The outcome of a key, as it is in memory; `loading` becomes `failed` if the job ends before. */
export const JOB_OUTCOMES = [
  "pending",
  "loading",
  "hit",
  "loaded",
  "miss",
  "not_attempted",
  "refused_no_room",
  "failed",
] as const;

/** The outcome of a key so far. */
export type JobOutcome = (typeof JOB_OUTCOMES)[number];

/** prefix: the leading keys, up to the first that cannot be had; full: all that can be had. */
export type JobMode = "prefix" | "full";

/**
 * done: every key has its outcome; deadline: its time was over before that; stopped: the worker that ran it has ended,
 * and what it had leased with it.
 */
export type JobState = "running" | "done" | "deadline" | "stopped";

/** A job as it is now. */
export interface JobView {
  readonly state: JobState;
  readonly mode: JobMode;
  readonly outcomes: readonly JobOutcome[];
  /** Milliseconds since the epoch; undefined: nothing is leased. */
  readonly leaseEndsMs: number | undefined;
}

/** A job that begins. */
export interface NewJob {
  readonly id: Name64;
  readonly owner: Name64;
  readonly mode: JobMode;
  readonly keys: number;
  /** As in JobView. */
  readonly leaseEndsMs: number | undefined;
}

/** Milliseconds for which a job that has ended is remembered, unless its row is needed. */
const KEEP_MS = 60_000;

/** Values of the word `state`. A negative one is the worker that is writing the row. */
const STATE = { free: 0, running: 1, done: 2, deadline: 3, stopped: 4, removed: 5 } as const;
const STATES: Readonly<Record<number, JobState>> = { 1: "running", 2: "done", 3: "deadline", 4: "stopped" };
const MODES = ["prefix", "full"] as const;

/**
 * The prefetch jobs of all threads, in rows of shared memory, so that any worker answers for any job. A row has one
 * writer, the worker that runs the job; others read it, and change its state in one step. A row is used again only when
 * its writer is done with it.
 */
export class PrefetchJobs {
  readonly #memory: SharedWords;
  readonly #rows: JobRows;
  readonly #workerId: number;

  constructor(
    memory: SharedWords,
    { layout, workerId }: { readonly layout: SharedKeysLayout; readonly workerId: number },
  ) {
    this.#memory = memory;
    this.#rows = new JobRows(memory, layout);
    this.#workerId = workerId;
  }

  /** The number of jobs that may run at the same time. */
  get limit(): number {
    return this.#rows.count;
  }

  /** The number of jobs that run. */
  get running(): number {
    return this.#rows.running;
  }

  /** Begins a job; undefined if there are as many as there may be. The job that ended first is forgotten for it. */
  open({ id, owner, mode, keys, leaseEndsMs }: NewJob): OpenJob | undefined {
    const rows = this.#rows.table;
    const row = this.#claim();
    if (row === undefined) return undefined;
    // No reader finds the row while it is being written.
    rows.set(row, JOB.worker, this.#workerId);
    rows.set(row, JOB.ownerHigh, owner.high);
    rows.set(row, JOB.ownerLow, owner.low);
    rows.set(row, JOB.mode, MODES.indexOf(mode));
    rows.set(row, JOB.keys, keys);
    rows.setDouble(row, JOB.endedMs, 0);
    rows.setDouble(row, JOB.leaseEndsMs, leaseEndsMs ?? 0);
    this.#rows.outcomesOf(row).fill(0);
    rows.store(row, JOB.isSettled, 0);
    rows.store(row, JOB.idHigh, id.high);
    rows.store(row, JOB.idLow, id.low);
    rows.store(row, JOB.state, STATE.running);
    return new OpenJob(this.#memory, this.#rows, row);
  }

  /** The owner's job with an id; undefined if there is none, or it is forgotten. */
  view(id: Name64, owner: Name64, nowMs: number): JobView | undefined {
    const rows = this.#rows.table;
    const row = this.#find(id, owner, nowMs);
    if (row === undefined) return undefined;
    const state = STATES[rows.load(row, JOB.state)];
    const mode = MODES[rows.get(row, JOB.mode)];
    const leaseEndsMs = rows.getDouble(row, JOB.leaseEndsMs);
    const outcomes = this.#rows.viewOf(row, state === "running");
    // The row may have been given to another job meanwhile.
    if (state === undefined || mode === undefined || this.#find(id, owner, nowMs) !== row) return undefined;
    const isLeased = leaseEndsMs !== 0 && state !== "stopped";
    return { state, mode, outcomes, leaseEndsMs: isLeased ? leaseEndsMs : undefined };
  }

  /** True while the owner's job with an id runs. */
  isRunning(id: Name64, owner: Name64, nowMs: number): boolean {
    const row = this.#find(id, owner, nowMs);
    return row !== undefined && this.#rows.table.load(row, JOB.state) === STATE.running;
  }

  /** Ends the owner's job with an id, if it runs, and forgets it; false if there is none. */
  remove(id: Name64, owner: Name64, nowMs: number): boolean {
    for (;;) {
      const row = this.#find(id, owner, nowMs);
      if (row === undefined) return false;
      const state = this.#rows.table.load(row, JOB.state);
      if (STATES[state] !== undefined && this.#replace(row, state, STATE.removed)) return true;
    }
  }

  /** Takes a row: of no job, or of the one that ended first. */
  #claim(): number | undefined {
    const rows = this.#rows.table;
    const candidates: { readonly row: number; readonly state: number; readonly endedMs: number }[] = [];
    for (let row = 0; row < this.#rows.count; row++) {
      const state = rows.load(row, JOB.state);
      if (state === STATE.free || state === STATE.removed) candidates.push({ row, state, endedMs: -1 });
      else if (state > STATE.running) candidates.push({ row, state, endedMs: rows.getDouble(row, JOB.endedMs) });
    }
    candidates.sort((one, other) => one.endedMs - other.endedMs);
    for (const { row, state } of candidates) {
      if (state !== STATE.free && rows.load(row, JOB.isSettled) === 0) continue;
      if (this.#replace(row, state, -this.#workerId)) return row;
    }
    return undefined;
  }

  #find(id: Name64, owner: Name64, nowMs: number): number | undefined {
    const rows = this.#rows.table;
    for (let row = 0; row < this.#rows.count; row++) {
      if (rows.load(row, JOB.idHigh) !== id.high || rows.load(row, JOB.idLow) !== id.low) continue;
      const state = rows.load(row, JOB.state);
      if (STATES[state] === undefined) continue;
      if (rows.get(row, JOB.ownerHigh) !== owner.high || rows.get(row, JOB.ownerLow) !== owner.low) continue;
      const isOver = state !== STATE.running && rows.getDouble(row, JOB.endedMs) + KEEP_MS <= nowMs;
      return isOver ? undefined : row;
    }
    return undefined;
  }

  #replace(row: number, state: number, by: number): boolean {
    return this.#memory.atomics.replace(this.#rows.table.wordAt(row, JOB.state), state, by);
  }
}

/** A job, for the worker that runs it. */
export class OpenJob {
  readonly #memory: SharedWords;
  readonly #rows: JobRows;
  readonly #row: number;

  constructor(memory: SharedWords, rows: JobRows, row: number) {
    this.#memory = memory;
    this.#rows = rows;
    this.#row = row;
  }

  get isRunning(): boolean {
    return this.#state === STATE.running;
  }

  /** True if a request has ended it, so that nothing may stay leased. */
  get isRemoved(): boolean {
    return this.#state === STATE.removed;
  }

  /** Notes the outcome of a key, while the job runs. */
  set(index: number, outcome: JobOutcome): void {
    if (!this.isRunning) return;
    this.#rows.outcomesOf(this.#row)[index] = JOB_OUTCOMES.indexOf(outcome);
  }

  /** The outcomes; those that are missing are what they are at the end. */
  outcomes(): readonly JobOutcome[] {
    return this.#rows.viewOf(this.#row, false);
  }

  /** Ends the job; false if it had ended already. */
  end(state: Exclude<JobState, "running">, nowMs: number): boolean {
    this.#rows.table.setDouble(this.#row, JOB.endedMs, nowMs);
    const word = this.#rows.table.wordAt(this.#row, JOB.state);
    return this.#memory.atomics.replace(word, STATE.running, STATE[state]);
  }

  /** This worker writes no more; the row may be used again. */
  settle(): void {
    this.#rows.table.store(this.#row, JOB.isSettled, 1);
  }

  get #state(): number {
    return this.#rows.table.load(this.#row, JOB.state);
  }
}

/** The rows in memory. */
class JobRows {
  readonly table: SharedTable;
  readonly count: number;
  readonly #bytes: Uint8Array;

  constructor(memory: SharedWords, { at, prefetchJobs }: SharedKeysLayout) {
    this.table = new SharedTable(memory, at.jobs, JOB.words);
    this.count = prefetchJobs;
    this.#bytes = new Uint8Array(memory.words.buffer);
  }

  get running(): number {
    let running = 0;
    for (let row = 0; row < this.count; row++) if (this.table.load(row, JOB.state) === STATE.running) running += 1;
    return running;
  }

  /** A byte for each key. */
  outcomesOf(row: number): Uint8Array {
    const start = 4 * this.table.wordAt(row, JOB.outcomes);
    return this.#bytes.subarray(start, start + this.table.get(row, JOB.keys));
  }

  /** The outcomes of a job; of one that has ended, those that were missing are what they are at the end. */
  viewOf(row: number, isRunning: boolean): readonly JobOutcome[] {
    return Array.from(this.outcomesOf(row), (code) => {
      const outcome = JOB_OUTCOMES[code] ?? "pending";
      if (isRunning) return outcome;
      return outcome === "pending" ? "not_attempted" : outcome === "loading" ? "failed" : outcome;
    });
  }
}

/** For the main thread: the number of jobs that run. */
export function runningJobs(memory: SharedKeysMemory): number {
  return new JobRows(viewWords(memory.words), planSharedKeys(memory.options)).running;
}

/**
 * For the main thread: ends the jobs of a worker that is gone, whose leases have ended with it. `stillRuns`: it may
 * come back for a moment, so its rows are not used again.
 */
export function abandonJobs(
  memory: SharedKeysMemory,
  workerId: number,
  { stillRuns, nowMs }: { readonly stillRuns: boolean; readonly nowMs: number },
): void {
  const view = viewWords(memory.words);
  const { table, count } = new JobRows(view, planSharedKeys(memory.options));
  for (let row = 0; row < count; row++) {
    const word = table.wordAt(row, JOB.state);
    if (!stillRuns) view.atomics.replace(word, -workerId, STATE.free);
    if (table.get(row, JOB.worker) !== workerId) continue;
    const isLeased = table.getDouble(row, JOB.leaseEndsMs) !== 0;
    if (table.load(row, JOB.state) === STATE.running) {
      table.setDouble(row, JOB.endedMs, nowMs);
      view.atomics.replace(word, STATE.running, STATE.stopped);
    }
    if (isLeased) {
      view.atomics.replace(word, STATE.done, STATE.stopped);
      view.atomics.replace(word, STATE.deadline, STATE.stopped);
    }
    if (!stillRuns) table.store(row, JOB.isSettled, 1);
  }
}
