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
