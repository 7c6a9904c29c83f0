import type { Channel, OpenChannel } from "../../../src/events/channel/channel.ts";
import { settle } from "./fake_time.ts";

/** What the net does to a message. */
export type Fate = "deliver" | "drop" | "twice" | "later";

interface End {
  listener: (data: unknown) => void;
  open: boolean;
}

interface Posted {
  readonly to: End;
  readonly data: unknown;
}

/** Channels in memory whose messages arrive when the test says so, if at all. */
export class LossyNet {
  readonly #ends = new Map<string, End[]>();
  #posted: Posted[] = [];

  readonly open: OpenChannel = (name): Channel => {
    const ends = this.#ends.get(name) ?? [];
    const own: End = { listener: () => {}, open: true };
    this.#ends.set(name, [...ends, own]);
    return {
      post: (message) => {
        if (!own.open) return;
        const others = (this.#ends.get(name) ?? []).filter((end) => end !== own);
        for (const to of others) this.#posted.push({ to, data: structuredClone(message) });
      },
      onMessage: (listener) => {
        own.listener = listener;
      },
      close: () => {
        own.open = false;
      },
    };
  };

  /** How many messages are under way. */
  get size(): number {
    return this.#posted.length;
  }

  /**
   * Sends off what was posted until now, each message with the fate that is its turn; "deliver" when there are no more.
   */
  async deliver(fates: Iterator<Fate> = [][Symbol.iterator]()): Promise<void> {
    const posted = this.#posted;
    this.#posted = [];
    for (const message of posted) {
      const { done, value } = fates.next();
      const fate: Fate = done === true ? "deliver" : value;
      if (fate === "drop") continue;
      if (fate === "later") {
        this.#posted.push(message);
        continue;
      }
      for (let times = fate === "twice" ? 2 : 1; times > 0; times--) {
        if (message.to.open) message.to.listener(message.data);
        await settle();
      }
    }
  }
}
