import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

/** A thread of this process. */
export interface Thread<ToThread> {
  post(message: ToThread): void;
  /** Asks the runtime to stop it. Resolves when the runtime says it has; Deno says so at once and cannot stop a busy thread (docs/RUNTIMES.md). */
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

/** Starts a thread with the module at `url`; `data` arrives as `workerData`. */
export function startThread<ToThread, FromThread>(
  url: URL,
  data: object,
  events: ThreadEvents<FromThread>,
): Thread<ToThread> {
  const worker = new Worker(fileURLToPath(url.href), { workerData: data });
  worker.on("message", events.onMessage);
  worker.on("error", events.onError);
  worker.once("exit", events.onExit);
  return {
    post: (message) => worker.postMessage(message),
    terminate: async () => {
      await worker.terminate();
    },
  };
}
