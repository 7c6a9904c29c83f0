import { readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";

/** A thread of this process. */
export interface Thread<ToThread> {
  /** `ports` in the message go to the other thread. */
  post(message: ToThread, ports?: readonly MessagePort[]): void;
  /**
   * Asks the runtime to stop it. Resolves when the runtime says it has; Deno says so at once and cannot stop a busy
   * thread (docs/RUNTIMES.md).
   */
  terminate(): Promise<void>;
}

/** What a thread does that its maker wants to know. */
export interface ThreadEvents<FromThread> {
  readonly onMessage: (message: FromThread) => void;
  /** Something was thrown that nobody caught; `onExit` follows. */
  readonly onError: (error: unknown) => void;
  /** It is over. Called once. */
  readonly onExit: () => void;
}

/** Starts a thread with the module at `url`; `data` arrives as `workerData`, and the `ports` in it go to the thread. */
export function startThread<ToThread, FromThread>(
  url: URL,
  data: object,
  { ports = [], ...events }: ThreadEvents<FromThread> & { readonly ports?: readonly MessagePort[] },
): Thread<ToThread> {
  const worker = new Worker(fileURLToPath(url.href), { workerData: data, transferList: [...ports] });
  worker.on("message", events.onMessage);
  worker.on("error", events.onError);
  worker.once("exit", events.onExit);
  return {
    post: (message, ports = []) => worker.postMessage(message, [...ports]),
    terminate: async () => {
      await worker.terminate();
    },
  };
}

/** Two ends of a new channel, each to be given to a thread. */
export function openChannel(): { readonly port1: MessagePort; readonly port2: MessagePort } {
  return new MessageChannel();
}

/** One end of a channel: ordered and lossless. */
export interface Port<Out, In> {
  post(message: Out): void;
  /** To be called once; what came before is not lost. `onClose`: the other end is closed, or its thread is gone. */
  listen(onMessage: (message: In) => void, onClose: () => void): void;
  close(): void;
}

/**
 * Wraps the end of a channel. `onmessage`, because `on("message")` makes a round trip take milliseconds on Deno
 * (docs/RUNTIMES.md).
 */
export function portOf<Out, In>(port: MessagePort): Port<Out, In> {
  return {
    post: (message) => port.postMessage(message),
    listen(onMessage, onClose) {
      port.on("close", onClose);
      Object.assign(port, { onmessage: (event: { readonly data: In }) => onMessage(event.data) });
    },
    close: () => port.close(),
  };
}

/** The system's account of a thread of this process. */
export interface ThreadUsage {
  /** Tells it from an earlier thread with the same number. */
  readonly startedAt: number;
  /** It runs, or would if it were given a core. If not, it waits for something. */
  readonly isRunnable: boolean;
  /** Time it has had on a core, in steps of 10 ms. */
  readonly cpuMs: number;
}

/** The kernel tells times in hundredths of a second, whatever its own tick. */
const MS_PER_TICK = 10;

/** The system's number of the calling thread; 0 where /proc does not tell. */
export function ownThreadId(): number {
  try {
    return Number(/\/task\/(\d+)$/.exec(readlinkSync("/proc/thread-self"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * Looks at a thread by its number from `ownThreadId`. "ended": there is none any more. Undefined where /proc does not
 * tell.
 */
export function threadUsage(id: number): ThreadUsage | "ended" | undefined {
  if (id === 0) return undefined;
  try {
    return parseThreadStat(readFileSync(`/proc/self/task/${id}/stat`, "utf8"));
  } catch (error) {
    // ESRCH: it ended between the opening and the reading.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOENT" || code === "ESRCH" ? "ended" : undefined;
  }
}

/** Of one line as in proc(5), /proc/PID/stat. A thread that has ended and is not yet cleared away counts as ended. */
export function parseThreadStat(line: string): ThreadUsage | "ended" | undefined {
  // The second field is the thread's name in parentheses, which may hold anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).trimEnd().split(" ");
  const state = fields[0] ?? "";
  const [userTicks = NaN, systemTicks = NaN, startedAt = NaN] = [fields[11], fields[12], fields[19]].map(Number);
  if (Number.isNaN(userTicks + systemTicks + startedAt)) return undefined;
  if (state === "Z" || state === "X") return "ended";
  return { startedAt, isRunnable: state === "R", cpuMs: (userTicks + systemTicks) * MS_PER_TICK };
}
