/**
 * One of the two ends of a way between a producer and the collector, on which the producer says "look". It may lose,
 * repeat, delay and reorder what is said.
 */
export interface Notifier {
  /** `written`: how many individual events the producer has written so far. */
  notify(written: number): void;
  /** Nothing is heard and nothing is said from here on. */
  close(): void;
}

/** Opens this thread's end; whoever opens the same name is the other end. */
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
        // Closed, or dead from the start, which happens on Deno: the collector looks by itself, a little later.
      }
    },
    close: () => channel.close(),
  };
};

/** The notifier of one producer: it wakes no other. `server`: different for every server of a process. */
export function notifierName(server: string, producer: string): string {
  return `${server}/${producer}`;
}
