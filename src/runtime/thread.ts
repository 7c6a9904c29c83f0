import { readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, parentPort, Worker } from "node:worker_threads";
import type { Port } from "../core/threads.ts";

/** A thread of this process. */
export interface Thread<ToThread> {
  /** `ports` in the message are transferred to the thread. */
  post(message: ToThread, ports?: readonly MessagePort[]): void;
  /**
   * Asks the runtime to stop the thread, and resolves when the runtime reports that it has. Deno reports it at once,
   * but cannot stop a busy thread (docs/RUNTIMES.md).
   */
  terminate(): Promise<void>;
}

/** Callbacks for the thread that started another one. */
export interface ThreadEvents<FromThread> {
  readonly onMessage: (message: FromThread) => void;
  /** An error was not caught; `onExit` follows. */
  readonly onError: (error: unknown) => void;
  /** The thread has ended. Called once. */
  readonly onExit: () => void;
}

/** A thread that loads its module, or has loaded it, and waits for its data. */
interface LoadedThread {
  readonly worker: Worker;
  hasEnded: boolean;
}

/** Threads that have no data yet, by the address of their module. */
const loaded = new Map<string, LoadedThread[]>();

/**
 * Starts a thread that loads the module at `url` and waits: the next `startThread` of that module uses it. Loading
 * takes some hundred milliseconds. The thread does not keep the process alive.
 */
export function loadThread({ href }: URL): void {
  const worker = new Worker(fileURLToPath(href));
  const thread: LoadedThread = { worker, hasEnded: false };
  const end = () => (thread.hasEnded = true);
  worker.once("error", end).once("exit", end);
  worker.unref();
  loaded.set(href, [...loaded.get(href) ?? [], thread]);
}

/** The number of threads that are loaded for a module and have no data yet. */
export function loadedThreads({ href }: URL): number {
  return loaded.get(href)?.length ?? 0;
}

/** Starts a thread with the module at `url`, which gets `data`; the `ports` in it are transferred. */
export function startThread<ToThread, FromThread>(
  url: URL,
  data: object,
  { ports = [], ...events }: ThreadEvents<FromThread> & { readonly ports?: readonly MessagePort[] },
): Thread<ToThread> {
  const { worker } = takeLoaded(url);
  worker.removeAllListeners();
  worker.on("message", events.onMessage);
  worker.on("error", events.onError);
  worker.once("exit", events.onExit);
  worker.ref();
  worker.postMessage(data, [...ports]);
  return {
    post: (message, ports = []) => worker.postMessage(message, [...ports]),
    terminate: async () => {
      await worker.terminate();
    },
  };
}

function takeLoaded(url: URL): LoadedThread {
  for (;;) {
    const thread = loaded.get(url.href)?.shift();
    if (thread === undefined) loadThread(url);
    else if (!thread.hasEnded) return thread;
  }
}

/** This thread, as `startThread` has started it. */
export interface StartedThread<Data, ToThread, FromThread> {
  readonly data: Data;
  post(message: FromThread): void;
  /** Calls it for each message, also for those that have come before. Called once. */
  listen(onMessage: (message: ToThread) => void): void;
}

/** Waits until `startThread` gives this thread its data. Throws in the main thread. */
export async function startedThread<Data, ToThread, FromThread>(): Promise<StartedThread<Data, ToThread, FromThread>> {
  const port = parentPort;
  if (port === null) throw new Error("run as a thread: this is the main thread");
  let onMessage: ((message: ToThread) => void) | undefined;
  const before: ToThread[] = [];
  const data = await new Promise<Data>((resolve) => {
    port.once("message", (first: Data) => {
      port.on("message", (message: ToThread) => {
        if (onMessage === undefined) before.push(message);
        else onMessage(message);
      });
      resolve(first);
    });
  });
  return {
    data,
    post: (message) => port.postMessage(message),
    listen(listener) {
      onMessage = listener;
      for (const message of before.splice(0)) listener(message);
    },
  };
}

/** Opens a channel and returns its two ends, one for each thread. */
export function openChannel(): { readonly port1: MessagePort; readonly port2: MessagePort } {
  return new MessageChannel();
}

/**
 * Wraps one end of a channel. It uses `onmessage`, because with `on("message")` a round trip takes milliseconds on Deno
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

/** The kernel's figures for a thread of this process. */
export interface ThreadUsage {
  /** Distinguishes the thread from an earlier one with the same id. */
  readonly startedAt: number;
  /** True if the thread is running or waiting for a core; false if it waits for anything else. */
  readonly isRunnable: boolean;
  /** CPU time used, in steps of 10 ms. */
  readonly cpuMs: number;
}

/** The kernel reports times in hundredths of a second, whatever its own tick is. */
const MS_PER_TICK = 10;

/** The system's id of the calling thread; 0 if /proc does not reveal it. */
export function ownThreadId(): number {
  try {
    return Number(/\/task\/(\d+)$/.exec(readlinkSync("/proc/thread-self"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Reads the usage of a thread, by its id from `ownThreadId`. Undefined if /proc does not reveal it. */
export function threadUsage(id: number): ThreadUsage | "ended" | undefined {
  if (id === 0) return undefined;
  try {
    return parseThreadStat(readFileSync(`/proc/self/task/${id}/stat`, "utf8"));
  } catch (error) {
    // ESRCH: the thread ended between open and read.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOENT" || code === "ESRCH" ? "ended" : undefined;
  }
}

/** Parses a line of /proc/PID/stat (proc(5)). A zombie counts as ended. */
export function parseThreadStat(line: string): ThreadUsage | "ended" | undefined {
  // The second field is the thread's name in parentheses, which may contain anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).trimEnd().split(" ");
  const state = fields[0] ?? "";
  const [userTicks = NaN, systemTicks = NaN, startedAt = NaN] = [fields[11], fields[12], fields[19]].map(Number);
  if (Number.isNaN(userTicks + systemTicks + startedAt)) return undefined;
  if (state === "Z" || state === "X") return "ended";
  return { startedAt, isRunnable: state === "R", cpuMs: (userTicks + systemTicks) * MS_PER_TICK };
}
