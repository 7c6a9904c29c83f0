import type { Account } from "../ledger/account.ts";
import { PackedBatch } from "../codec/decode.ts";
import type { Interest } from "../subscriber.ts";
import type { Channel } from "./channel.ts";
import { type Message, parseMessage } from "./messages.ts";
import type { Pump } from "./pump.ts";
import { type Answer, type Question, Questions } from "./questions.ts";
import { repeat } from "./repeat.ts";
import type { ChannelSettings } from "./settings.ts";

/** What the collector listens to, and the how-manieth change that was. */
export interface VersionedInterest {
  readonly version: number;
  readonly interest: Interest;
}

/** Settings of a peer. */
export interface PeerOptions extends Pick<ChannelSettings, "schedule" | "retryMs"> {
  readonly channel: Channel;
  readonly account: Account;
  readonly pump: Pump;
  /** Undefined: not known yet. */
  readonly interest: VersionedInterest | undefined;
  /** By topic. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** Told of batches that are not the next in the sequence. */
  readonly onIgnored: (why: "duplicate" | "gap") => void;
}

interface Flush {
  /** The last batch that belongs to it, once the producer has told. */
  sequence: number | undefined;
  readonly reached: () => void;
}

/**
 * The collector's side of one producer: accepts its batches, each once and in order, and sees to it that it knows what
 * is listened to.
 */
export class Peer {
  readonly #options: PeerOptions;
  readonly #questions: Questions;
  readonly #flushes = new Map<number, Flush>();
  #interest: VersionedInterest | undefined;
  #endTelling: (() => void) | undefined;
  #heard: PromiseWithResolvers<void> | undefined;
  /** Places in the sequence of the batch accepted last, and dispatched last. */
  #accepted = 0;
  #dispatched = 0;
  #flushed = 0;

  constructor(options: PeerOptions) {
    const { channel, answers, schedule, retryMs, interest } = options;
    this.#options = options;
    this.#interest = interest;
    this.#questions = new Questions({ post: (message) => channel.post(message), answers, schedule, retryMs });
    channel.onMessage((data) => this.#receive(data));
    if (interest !== undefined) this.tell(interest);
  }

  /**
   * Whether all that the producer has published by now has been dispatched: its counters are shared, so nobody need be
   * asked.
   */
  get settled(): boolean {
    return this.#options.account.settled;
  }

  /** Resolves when the producer has heard what is listened to, or is gone. */
  get heard(): Promise<void> {
    return this.#heard?.promise ?? Promise.resolve();
  }

  /** Tells the producer what is listened to, until it says that it has heard. */
  tell(interest: VersionedInterest): void {
    const { channel, schedule, retryMs } = this.#options;
    this.#interest = interest;
    this.#heard ??= Promise.withResolvers();
    this.#endTelling?.();
    const message: Message = {
      kind: "interest",
      version: interest.version,
      wants: Object.fromEntries(interest.interest),
    };
    this.#endTelling = repeat(() => channel.post(message), { schedule, everyMs: retryMs });
  }

  /** Makes the producer send what it has. `reached`: resolves when that has been dispatched. `cancel` gives up. */
  flush(): { readonly reached: Promise<void>; readonly cancel: () => void } {
    const { channel, schedule, retryMs } = this.#options;
    const id = ++this.#flushed;
    const reached = new Promise<void>((reached) => this.#flushes.set(id, { sequence: undefined, reached }));
    const endAsking = repeat(() => {
      if (this.#flushes.get(id)?.sequence === undefined) channel.post({ kind: "flush", id });
    }, { schedule, everyMs: retryMs });
    return {
      reached,
      cancel: () => {
        endAsking();
        this.#flushes.delete(id);
      },
    };
  }

  ask(question: Question): Promise<string> {
    return this.#questions.ask(question);
  }

  /** Hears and says nothing from now on; nobody need wait for a flush any more. */
  close(): void {
    this.#endTold();
    for (const { reached } of this.#flushes.values()) reached();
    this.#questions.close();
    this.#options.channel.close();
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) return this.#accept(new PackedBatch(data));
    const message = parseMessage(data);
    switch (message?.kind) {
      case "hello":
        if (this.#interest !== undefined) this.tell(this.#interest);
        return;
      case "heard":
        if (message.version === this.#interest?.version) this.#endTold();
        return;
      case "flushed":
        return this.#endFlush(message.id, message.sequence);
      case "ask":
      case "answer":
        return this.#questions.receive(message);
      case undefined:
      case "interest":
      case "ack":
      case "flush":
        return;
    }
  }

  #endTold(): void {
    this.#endTelling?.();
    this.#heard?.resolve();
    this.#heard = undefined;
  }

  #accept(batch: PackedBatch): void {
    const { sequence } = batch;
    if (sequence !== this.#accepted + 1) {
      this.#options.onIgnored(sequence <= this.#accepted ? "duplicate" : "gap");
      // The acknowledgement may have been lost.
      if (sequence <= this.#dispatched) this.#acknowledge();
      return;
    }
    this.#accepted = sequence;
    const { account, pump } = this.#options;
    pump.add({ batch, account }, () => this.#dispatch(sequence));
  }

  #dispatch(sequence: number): void {
    this.#dispatched = sequence;
    this.#acknowledge();
    for (const [id, flush] of this.#flushes) {
      if (flush.sequence !== undefined) this.#endFlush(id, flush.sequence);
    }
  }

  #acknowledge(): void {
    this.#options.channel.post({ kind: "ack", sequence: this.#dispatched });
  }

  #endFlush(id: number, sequence: number): void {
    const flush = this.#flushes.get(id);
    if (flush === undefined) return;
    flush.sequence = sequence;
    if (sequence > this.#dispatched) return;
    this.#flushes.delete(id);
    flush.reached();
  }
}
