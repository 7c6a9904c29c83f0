import type { Message } from "./messages.ts";

/**
 * One of the two ends of a way between a producer and the collector. It may lose, repeat and reorder what is posted.
 */
export interface Channel {
  post(message: Message | ArrayBuffer): void;
  /** Calls back with each message of the other end; there is one listener. */
  onMessage(listener: (data: unknown) => void): void;
  /** Nothing is heard and nothing is sent from here on. */
  close(): void;
}

/** Opens this thread's end; whoever opens the same name is the other end. */
export type OpenChannel = (name: string) => Channel;
