import { formatSize } from "../core/size.ts";

/** Time for a stop in addition to that of the workers, for the last push, the admin port and the bus. */
const REST_MS = 5000;

/** Options of a Stopper. */
export interface StopperOptions {
  /** The configured time for workers to finish. */
  readonly timeoutMs: number;
  /** A clock that does not jump. */
  readonly nowMs: () => number;
  readonly after: (ms: number, callback: () => void) => void;
  /** Prints a line. */
  readonly say: (line: string) => void;
  readonly exit: (code: number) => void;
}

/** A server that can be stopped. */
interface Stoppable {
  stop(): Promise<StopResult>;
  /** Dirty objects: acknowledged and not yet stored. */
  dirty(): ObjectAmount;
}

/**
 * Stops a server at a signal, prints the result in one line, and ends the process with the exit code for it.
 */
export class Stopper {
  readonly #options: StopperOptions;
  readonly #policy: StopPolicy;
  readonly #startAbort = new AbortController();
  #server: Stoppable | undefined;
  #begunMs: number | undefined;
  #ended = false;

  constructor(options: StopperOptions) {
    this.#options = options;
    this.#policy = new StopPolicy(options.nowMs);
  }

  /** Aborted if a signal arrives before the server has started; for `startCluster`. */
  get startAborted(): AbortSignal {
    return this.#startAbort.signal;
  }

  /** Handles a signal. */
  heard(signal: StopSignal): void {
    const { timeoutMs, nowMs, after } = this.#options;
    const act = this.#policy.heard(signal);
    if (act === "force") this.#end(forcedLine(this.#seconds(), this.#dirty()), EXIT.failed);
    if (act !== "stop") return;
    this.#begunMs = nowMs();
    after(FORCE_AFTER_MS, () => this.#say(stillLine(this.#dirty())));
    after(timeoutMs + REST_MS, () => this.#end(forcedLine(this.#seconds(), this.#dirty()), EXIT.failed));
    if (this.#server === undefined) this.#startAbort.abort(new StartAborted(signal));
    else void this.#stop(this.#server);
  }

  /** Called when the server has started; false if it must stop at once. */
  started(server: Stoppable): boolean {
    this.#server = server;
    if (this.#begunMs === undefined) return true;
    void this.#stop(server);
    return false;
  }

  async #stop(server: Stoppable): Promise<void> {
    const result = await server.stop();
    this.#end(stopLine(result), exitCodeOf(result));
  }

  #end(line: string, code: number): void {
    this.#say(line);
    this.#ended = true;
    this.#options.exit(code);
  }

  #say(line: string): void {
    if (!this.#ended) this.#options.say(line);
  }

  #dirty(): ObjectAmount {
    return this.#server?.dirty() ?? { objects: 0, bytes: 0 };
  }

  #seconds(): number {
    return (this.#options.nowMs() - (this.#begunMs ?? 0)) / 1000;
  }
}

/** A signal asked for a stop before the server had started. */
export class StartAborted extends Error {
  override readonly name = "StartAborted";

  constructor(signal: StopSignal) {
    super(`stopped before it served: ${signal}`);
  }
}

/**
 * The signals that ask for a stop: those that people and service managers send, and those that would end the process by
 * default.
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

/** The signal that reopens log files. */
export const REOPEN_SIGNAL = "SIGUSR2";

/** Signals that do not ask for a stop, but would end the process by default. */
export const HARMLESS_SIGNALS = ["SIGUSR1", REOPEN_SIGNAL, "SIGXFSZ"] as const;

/** A signal that asks for a stop. */
export type StopSignal = typeof STOP_SIGNALS[number];

/** Time after which a stop can be forced. */
const FORCE_AFTER_MS = 5000;

/**
 * Interrupts within this time of one another come from one press of Ctrl-C: the terminal sends one, and a task runner
 * passes on another.
 */
const SAME_PRESS_MS = 1000;

/**
 * Decides what a signal does. The first one begins a graceful stop. Later ones are ignored, except for a new press of
 * Ctrl-C after 5 s of stopping: it ends the process at once.
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

/**
 * Exit codes: everything was done; something failed, or acknowledged objects were lost; invalid settings; all objects
 * are stored, but something else was not finished.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, incomplete: 3 } as const;

/** A number of objects, and the bytes of their bodies. */
export interface ObjectAmount {
  readonly objects: number;
  readonly bytes: number;
}

/** The result of a stop. */
export interface StopResult {
  readonly seconds: number;
  /** Objects that were dirty when the stop began and are stored now. */
  readonly stored: number;
  /** Objects that no tier took, after all attempts. */
  readonly refused: number;
  /** Objects that are still dirty. */
  readonly dirty: ObjectAmount;
  /** Requests that were aborted. */
  readonly cutRequests: number;
  /** One line for each part that could not be finished. */
  readonly failures: readonly string[];
  /** By signal, whether its last push arrived; empty if nothing is pushed. */
  readonly pushes: ReadonlyMap<string, boolean>;
}

/** The last line of a stop. */
export function stopLine(result: StopResult): string {
  const { seconds, stored, refused, dirty, cutRequests, failures, pushes } = result;
  const lost = refused + dirty.objects;
  const lostBytes = dirty.objects > 0 ? ` (${formatSize(dirty.bytes)} still queued)` : "";
  const missed = [...pushes].filter(([, arrived]) => !arrived).map(([signal]) => signal);
  return [
    `vitrine: stopped in ${seconds.toFixed(1)} s: ${counted(stored, "object")} stored`,
    ...(lost > 0 ? [`${counted(lost, "acknowledged object")} LOST${lostBytes}`] : []),
    ...(cutRequests > 0 ? [`${counted(cutRequests, "request")} broken off`] : []),
    ...(missed.length > 0 ? [`last push of ${missed.join(", ")} failed`] : pushes.size > 0 ? ["telemetry pushed"] : []),
    ...failures,
  ].join(", ");
}

/** The exit code of a stop. */
export function exitCodeOf({ refused, dirty, cutRequests, failures, pushes }: StopResult): number {
  if (refused + dirty.objects + failures.length > 0) return EXIT.failed;
  return cutRequests > 0 || [...pushes.values()].includes(false) ? EXIT.incomplete : EXIT.done;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The line of a stop that ends before it has finished. */
export function forcedLine(seconds: number, dirty: ObjectAmount): string {
  return `vitrine: ended after ${seconds.toFixed(1)} s of stopping: ${
    counted(dirty.objects, "acknowledged object")
  } LOST (${formatSize(dirty.bytes)})`;
}

/** The line of a slow stop, which can be forced from now on. */
export function stillLine(dirty: ObjectAmount): string {
  return `vitrine: still stopping, ${
    counted(dirty.objects, "object")
  } to store: Ctrl-C (SIGINT) now ends it at once and loses them`;
}
