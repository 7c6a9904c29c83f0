/**
 * One end of a channel on which a producer tells the collector to look into its memory. Messages may be lost, repeated,
 * delayed and reordered.
 */
export interface Notifier {
  /** `written`: the number of individual events that the producer has written so far. */
  notify(written: number): void;
  /** Ends sending and receiving. */
  close(): void;
}

/** Opens this thread's end. The other end opens the same name. */
export type OpenNotifier = (name: string, onNotify?: (written: number) => void) => Notifier;

/** A notifier over a BroadcastChannel, for two threads of one process. */
export const openNotifier: OpenNotifier = (name, onNotify) => {
  const channel = new BroadcastChannel(name);
  if (onNotify !== undefined) {
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "number") onNotify(data);
    });
  }
  return {
    notify(written) {
      try {
        channel.postMessage(written);
      } catch {
        // The channel is closed, or never worked, which happens on Deno. The collector also looks at an interval.
      }
    },
    close: () => channel.close(),
  };
};

/** The channel of one producer. `server`: unique among the servers of a process. */
export function notifierName(server: string, producer: string): string {
  return `${server}/${producer}`;
}
