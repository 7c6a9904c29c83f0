import { setTimeout as wait } from "node:timers/promises";
import { causeText } from "../core/errors.ts";
import { retryMs } from "./calls.ts";

/** Milliseconds between two probes of a usable tier. */
const PROBE_MS = 10_000;

/** Options of a Health. */
export interface HealthOptions {
  /** Asks whether the tier can be used; throws if not. */
  readonly probe: () => Promise<void>;
  /** Called after each probe with the reason why the tier is unusable; undefined while it is usable. */
  readonly onTrouble: (trouble: string | undefined) => void;
}

/**
 * Knows whether a tier can be used. It probes the tier periodically, at once when a call fails or is slow, and
 * after growing, randomised waits while the tier cannot be used.
 */
export class Health {
  readonly #options: HealthOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** Ends the wait for the next probe of a usable tier. */
  #waking = new AbortController();
  #trouble: string | undefined;
  readonly #answered = Promise.withResolvers<void>();

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The reason why the tier is unusable; undefined while it is usable. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Resolves after the first probe. */
  get answered(): Promise<void> {
    return this.#answered.promise;
  }

  /** Probes now, because a call has failed or is slow. */
  check(): void {
    this.#waking.abort();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#closing.signal.aborted;) {
      try {
        await this.#options.probe();
        failures = 0;
        this.#say(undefined);
      } catch (cause) {
        failures += 1;
        this.#say(causeText(cause));
      }
      this.#answered.resolve();
      await this.#pause(failures);
    }
  }

  /** Waits for the next probe, after this many that have failed in a row. */
  async #pause(failures: number): Promise<void> {
    this.#waking = new AbortController();
    const closing = this.#closing.signal;
    const signal = failures === 0 ? AbortSignal.any([closing, this.#waking.signal]) : closing;
    await wait(failures === 0 ? PROBE_MS : retryMs(failures), undefined, { ref: false, signal }).catch(() => {});
  }

  #say(trouble: string | undefined): void {
    if (this.#closing.signal.aborted) return;
    this.#trouble = trouble;
    this.#options.onTrouble(trouble);
  }
}
