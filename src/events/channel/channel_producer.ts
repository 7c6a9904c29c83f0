import type { Publish } from "../../core/publish.ts";
import type { EventMap, EventName } from "../catalogue.ts";
import { CounterRow } from "../ledger/counter_row.ts";
import { EventProducer } from "../producer.ts";
import { eventNames } from "../schema.ts";
import type { Closeness, Interest } from "../subscriber.ts";
import type { Transport } from "../transport.ts";
import type { Channel } from "./channel.ts";
import { within } from "./deadline.ts";
import { type Message, parseMessage } from "./messages.ts";
import { type Answer, type Question, Questions } from "./questions.ts";
import { repeat } from "./repeat.ts";
import { BatchSender } from "./sender.ts";
import { channelOf, type ChannelOptions, channelSettings } from "./settings.ts";

/** Settings of a worker's end of the bus. */
export interface ChannelProducerOptions extends ChannelOptions {
  /** Worker and generation, such as "3.1": never used twice. */
  readonly id: string;
  /** From CounterRow.allocate, the same that the hub was given. */
  readonly countersRow: SharedArrayBuffer;
  /** What the collector may ask of this worker, by topic. */
  readonly answers?: Readonly<Record<string, Answer>>;
  /** Most single events that wait; more are folded. Default 8192. */
  readonly queueSize?: number;
  /** Most single events, and most groups, of a batch; a full batch leaves at once. Default 1024. */
  readonly batchSize?: number;
  /** How long a single event may wait before it is on its way. Default 10. */
  readonly flushIntervalMs?: number;
  /** The same for folded ones. Default 100. */
  readonly foldIntervalMs?: number;
  /** Most batches that are sent and not acknowledged. Default 8. */
  readonly window?: number;
  /** How long to wait for an acknowledgement at first. Default 100. */
  readonly resendMs?: number;
}

/** Flushes whose outcome is kept in case the collector asks again. */
const KEPT_FLUSHES = 16;

/** The bus's end in a worker: publishes to the CollectorHub of another thread. */
export class ChannelProducer {
  /** States a fact; can be handed on without its producer. */
  readonly publish: Publish<EventMap>;
  readonly #settings: ReturnType<typeof channelSettings>;
  readonly #channel: Channel;
  readonly #sender: BatchSender;
  readonly #producer: EventProducer;
  readonly #questions: Questions;
  /** Place of the last batch that belongs to a flush, by the flush's id; undefined while the flush runs. */
  readonly #flushes = new Map<number, number | undefined>();
  #interestVersion = 0;
  #onInterest: (interest: Interest) => void = () => {};
  #onProgress: () => void = () => {};
  readonly #endHello: () => void;

  constructor(options: ChannelProducerOptions) {
    const { id, countersRow, queueSize = 8192, batchSize = 1024, window = 8, resendMs = 100 } = options;
    const settings = channelSettings(options);
    const { clock, schedule, retryMs } = settings;
    const row = new CounterRow(countersRow);
    this.#settings = settings;
    this.#channel = settings.open(channelOf(settings.channelName, id));
    const post = (message: Message | ArrayBuffer) => this.#channel.post(message);
    this.#sender = new BatchSender({ clock, schedule, row, post, window, resendMs });
    this.#producer = new EventProducer(this.#transport(), {
      clock,
      row,
      queueSize,
      batchSize,
      flushIntervalMs: options.flushIntervalMs ?? 10,
      foldIntervalMs: options.foldIntervalMs ?? 100,
      schedule,
    });
    this.publish = this.#producer.publish;
    this.#questions = new Questions({
      post,
      answers: new Map(Object.entries(options.answers ?? {})),
      schedule,
      retryMs,
    });
    this.#channel.onMessage((data) => this.#receive(data));
    this.#endHello = repeat(() => post({ kind: "hello" }), { schedule, everyMs: retryMs });
  }

  /** Resolves when everything published so far has been dispatched by the collector. */
  flush(): Promise<void> {
    return this.#producer.flush();
  }

  /** Asks the collector's thread. Throws VitrineError (shutting_down) if no answer comes in time. */
  request(topic: string, question: Omit<Question, "topic"> = {}): Promise<string> {
    return this.#questions.ask({ topic, ...question });
  }

  /**
   * Flushes and closes the channel; what is published from now on is ignored. Answers whether everything was dispatched
   * within the deadline.
   */
  async stop({ deadlineMs = 2000 }: { readonly deadlineMs?: number } = {}): Promise<boolean> {
    const complete = await within(this.#producer.stop(), { schedule: this.#settings.schedule, deadlineMs });
    this.#endHello();
    this.#sender.close();
    this.#questions.close();
    this.#channel.close();
    return complete;
  }

  #transport(): Transport {
    const sender = this.#sender;
    return {
      room: () => sender.room(),
      send: (batch) => sender.send(batch),
      flush: () => sender.flush(),
      oldestMs: () => sender.oldestMs(),
      onProgress: (listener) => {
        this.#onProgress = listener;
      },
      onInterest: (listener) => {
        this.#onInterest = listener;
      },
    };
  }

  #receive(data: unknown): void {
    const message = parseMessage(data);
    switch (message?.kind) {
      case "interest":
        return this.#hear(message);
      case "ack":
        if (this.#sender.acknowledge(message.sequence)) this.#onProgress();
        return;
      case "flush":
        return void this.#flushFor(message.id);
      case "ask":
      case "answer":
        return this.#questions.receive(message);
      case undefined:
      case "hello":
      case "heard":
      case "flushed":
        return;
    }
  }

  #hear({ version, wants }: Extract<Message, { readonly kind: "interest" }>): void {
    if (version > this.#interestVersion) {
      this.#interestVersion = version;
      this.#endHello();
      this.#onInterest(interestOf(wants));
    }
    this.#channel.post({ kind: "heard", version: this.#interestVersion });
  }

  async #flushFor(id: number): Promise<void> {
    const done = this.#flushes.get(id);
    if (done !== undefined) return this.#channel.post({ kind: "flushed", id, sequence: done });
    if (this.#flushes.has(id)) return;
    this.#flushes.set(id, undefined);
    await this.#producer.drained();
    const { sequence } = this.#sender;
    this.#flushes.set(id, sequence);
    for (const old of this.#flushes.keys()) {
      if (this.#flushes.size <= KEPT_FLUSHES) break;
      this.#flushes.delete(old);
    }
    this.#channel.post({ kind: "flushed", id, sequence });
  }
}

function interestOf(wants: Readonly<Record<string, unknown>>): Interest {
  const interest = new Map<EventName, Closeness>();
  for (const name of eventNames) {
    const want = wants[name];
    if (want === "folded" || want === "followed" || want === "detail") interest.set(name, want);
  }
  return interest;
}
