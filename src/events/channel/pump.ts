import type { Clock } from "../../core/clock.ts";
import type { Account } from "../ledger/account.ts";
import type { PackedBatch } from "../codec/decode.ts";
import type { Collector } from "../collector.ts";
import type { Schedule } from "../timer.ts";

/** A batch in its turn. */
interface Job {
  readonly batch: PackedBatch;
  readonly account: Account;
}

interface Task {
  readonly job: Job | undefined;
  readonly done: () => void;
}

/** Settings of a pump. */
export interface PumpOptions {
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** How long it may hold its thread at a time. */
  readonly sliceMs: number;
}

/** Events between two looks at the clock. */
const STRIDE = 16;

/** Dispatches batches one after the other, in slices, so that its thread stays open for other work between them. */
export class Pump {
  readonly #collector: Collector;
  readonly #options: PumpOptions;
  readonly #tasks: Task[] = [];
  #running = false;
  #sliceOpen = false;
  #deadlineMs = 0;

  constructor(collector: Collector, options: PumpOptions) {
    this.#collector = collector;
    this.#options = options;
  }

  /** Takes a batch, and calls back once all of it has been dispatched: before this returns, if there is time. */
  add(job: Job, done: () => void): void {
    this.#push({ job, done });
  }

  /** Resolves when everything added so far has been dispatched. */
  flush(): Promise<void> {
    return new Promise((done) => this.#push({ job: undefined, done }));
  }

  #push(task: Task): void {
    this.#tasks.push(task);
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      if (this.#isLate()) await this.#pause();
      if (task.job !== undefined) {
        const { batch, account } = task.job;
        const arrival = batch.unpack();
        let sinceLook = 0;
        for (const event of [...arrival.singles, ...arrival.groups]) {
          this.#collector.dispatch(event);
          if (++sinceLook % STRIDE === 0 && this.#isLate()) await this.#pause();
        }
        account.enter(arrival);
      }
      task.done();
    }
    this.#running = false;
  }

  /**
   * Whether this slice is over. A slice lasts until timers have had their turn, since a runtime may hand over many
   * messages before that.
   */
  #isLate(): boolean {
    const monotonicMs = this.#options.clock.monotonicMs();
    if (!this.#sliceOpen) {
      this.#sliceOpen = true;
      this.#deadlineMs = monotonicMs + this.#options.sliceMs;
      this.#options.schedule(() => {
        this.#sliceOpen = false;
      }, 0);
    }
    return monotonicMs >= this.#deadlineMs;
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => void this.#options.schedule(resolve, 0));
  }
}
