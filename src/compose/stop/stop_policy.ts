/**
 * The signals that ask for a stop: those of people and service managers, and those whose default would end the process
 * at once.
 */
export const STOP_SIGNALS = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGXCPU",
] as const;

/** The signal after which log files are opened again. */
export const REOPEN_SIGNAL = "SIGUSR2";

/** The signals whose default would end the process although they ask for no stop. */
export const HARMLESS_SIGNALS = ["SIGUSR1", REOPEN_SIGNAL, "SIGXFSZ"] as const;

/** A signal that asks for a stop. */
export type StopSignal = typeof STOP_SIGNALS[number];

/** A stop can be forced once it has lasted this many milliseconds. */
export const FORCE_AFTER_MS = 5000;

/**
 * Interrupts that come within so many milliseconds of one another are one press of Ctrl-C, sent by the terminal and
 * passed on by a task runner.
 */
const SAME_PRESS_MS = 1000;

/**
 * Decides what a signal does. The first one asks for a graceful stop. None of the following does anything, except an
 * interrupt (Ctrl-C) that comes when the stop has lasted for 5 s and is no copy of an earlier one: it ends the process
 * without waiting.
 */
export class StopPolicy {
  readonly #nowMs: () => number;
  #begunMs: number | undefined;
  #pressedMs = -Infinity;

  /** `nowMs`: a clock that does not jump. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  heard(signal: StopSignal): "stop" | "force" | "nothing" {
    const nowMs = this.#nowMs();
    const isPress = signal === "SIGINT" && nowMs - this.#pressedMs >= SAME_PRESS_MS;
    if (isPress) this.#pressedMs = nowMs;
    if (this.#begunMs === undefined) {
      this.#begunMs = nowMs;
      return "stop";
    }
    return isPress && nowMs - this.#begunMs >= FORCE_AFTER_MS ? "force" : "nothing";
  }
}
