import type { Every } from "./clock.ts";

/** Number of checks in one timeout. */
const CHECKS = 4;

/** Options of a Watchdog. */
export interface WatchdogOptions {
  /** Time without progress after which work times out; at the latest a quarter later, never earlier. */
  readonly timeoutMs: number;
  readonly every: Every;
}

/** The timeout of one piece of work. */
export interface Watch {
  /** Starts the timeout, or restarts it because there was progress. Has no effect after the end. */
  wait(): void;
  /** Suspends the timeout, because nobody is waiting. */
  rest(): void;
  /** Ends the work; returns false if it had timed out. */
  end(): boolean;
}

/**
 * Times out work that makes no progress, with one timer for all of it, which runs only while somebody waits. It counts
 * checks instead of time, so that a thread that was suspended does not time out its work when it resumes.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  /** The checks since the last progress, for each piece of work that somebody waits for. */
  readonly #waiting = new Map<Watch, number>();
  readonly #onTimeouts = new WeakMap<Watch, () => void>();
  #stop: (() => void) | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Registers work; its timeout starts with `wait`. `onTimeout` is called once, if there is no progress in time. */
  watch(onTimeout: () => void): Watch {
    const watch: Watch = {
      wait: () => {
        if (!this.#onTimeouts.has(watch)) return;
        this.#waiting.set(watch, 0);
        this.#stop ??= this.#options.every(this.#options.timeoutMs / CHECKS, () => this.#check());
      },
      rest: () => void this.#waiting.delete(watch),
      end: () => {
        this.#waiting.delete(watch);
        return this.#onTimeouts.delete(watch);
      },
    };
    this.#onTimeouts.set(watch, onTimeout);
    return watch;
  }

  #check(): void {
    if (this.#waiting.size === 0) {
      this.#stop?.();
      this.#stop = undefined;
    }
    for (const [watch, checks] of this.#waiting) {
      if (checks < CHECKS) this.#waiting.set(watch, checks + 1);
      else {
        const onTimeout = this.#onTimeouts.get(watch);
        watch.end();
        onTimeout?.();
      }
    }
  }
}

/** A body must move at least this many bytes in the time of a watch, unless it ends earlier: the largest chunk. */
export const MIN_MOVED_BYTES = 1024 * 1024;

/** Options of a TransferWatch. */
export interface TransferWatchOptions {
  readonly timeoutMs: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly every: Every;
}

/** A body in transfer. */
export interface Transfer {
  /** From now on the server waits for the client. */
  waits(): void;
  /** The wait is over, and this many bytes were moved by it. */
  moved(bytes: number): void;
  /** The body is over. */
  end(): void;
}

/**
 * Finds the bodies that clients send or take too slowly, with one timer for all. Only the time in which the server
 * waits for the client counts: a client that has to wait for the server is not slow.
 */
export class TransferWatch {
  readonly #options: TransferWatchOptions;
  readonly #transfers = new Set<WatchedTransfer>();
  #stop: (() => void) | undefined;

  constructor(options: TransferWatchOptions) {
    this.#options = options;
  }

  /** Begins to watch a body. `onSlow` is called at most once, during a wait. */
  begin(onSlow: () => void): Transfer {
    const { timeoutMs, nowMs, every } = this.#options;
    const transfer = new WatchedTransfer(nowMs, {
      onSlow,
      onEnd: () => this.#transfers.delete(transfer),
    });
    this.#transfers.add(transfer);
    this.#stop ??= every(Math.max(1, Math.floor(timeoutMs / 8)), () => this.#check(timeoutMs));
    return transfer;
  }

  #check(timeoutMs: number): void {
    for (const transfer of this.#transfers) transfer.check(timeoutMs);
    // The timer ends here rather than with a transfer, so that a busy server does not start and stop it all the time.
    if (this.#transfers.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}

class WatchedTransfer implements Transfer {
  readonly #nowMs: () => number;
  readonly #onSlow: () => void;
  readonly #onEnd: () => void;
  #movedBytes = 0;
  /** Time that the last `#movedBytes` took. */
  #waitedMs = 0;
  #waitsSinceMs: number | undefined;

  constructor(nowMs: () => number, { onSlow, onEnd }: { readonly onSlow: () => void; readonly onEnd: () => void }) {
    this.#nowMs = nowMs;
    this.#onSlow = onSlow;
    this.#onEnd = onEnd;
  }

  waits(): void {
    this.#waitsSinceMs = this.#nowMs();
  }

  moved(bytes: number): void {
    if (this.#waitsSinceMs !== undefined) this.#waitedMs += this.#nowMs() - this.#waitsSinceMs;
    this.#waitsSinceMs = undefined;
    this.#movedBytes += bytes;
    if (this.#movedBytes < MIN_MOVED_BYTES) return;
    this.#movedBytes = 0;
    this.#waitedMs = 0;
  }

  end(): void {
    this.#onEnd();
  }

  check(timeoutMs: number): void {
    if (this.#waitsSinceMs === undefined) return;
    if (this.#waitedMs + this.#nowMs() - this.#waitsSinceMs < timeoutMs) return;
    this.#onEnd();
    this.#onSlow();
  }
}
