import { VitrineError } from "../../core/errors.ts";
import type { Schedule } from "../timer.ts";
import type { Message } from "./messages.ts";
import { repeat } from "./repeat.ts";

/** Answers a question; a throw is the asker's error. */
export type Answer = (body: string) => string | Promise<string>;

type Ask = Extract<Message, { readonly kind: "ask" }>;
type Answered = Extract<Message, { readonly kind: "answer" }>;

/** How questions travel. */
export interface QuestionsOptions {
  readonly post: (message: Message) => void;
  /** By topic. */
  readonly answers: ReadonlyMap<string, Answer>;
  readonly schedule: Schedule;
  readonly retryMs: number;
}

/** What is asked, and until when. */
export interface Question {
  readonly topic: string;
  /** Default "". */
  readonly body?: string;
  /** Default 2000. */
  readonly deadlineMs?: number;
}

interface Open {
  readonly resolve: (body: string) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Questions over a channel that loses messages: each is asked until it is answered, and answered by one call however
 * often it comes. A repetition that comes while the call runs changes nothing; one that comes later gets the answer
 * that was kept.
 */
export class Questions {
  readonly #options: QuestionsOptions;
  readonly #open = new Map<number, Open>();
  /** Answers by question, for as long as the other end may ask again; undefined while the call runs. */
  readonly #answers = new Map<number, Message | undefined>();
  #asked = 0;
  /** The other end waits for no answer to a question below this one. */
  #oldest = 0;

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** The other end's answer. Throws VitrineError (shutting_down) if none comes in time, or why there is none. */
  async ask({ topic, body = "", deadlineMs = 2000 }: Question): Promise<string> {
    const { post, schedule, retryMs } = this.#options;
    const id = ++this.#asked;
    let endRepeat = () => {};
    let endDeadline = () => {};
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#open.set(id, { resolve, reject });
        endDeadline = schedule(() => reject(unanswered(`no answer within ${deadlineMs} ms: ${topic}`)), deadlineMs);
        endRepeat = repeat(() => post({ kind: "ask", id, oldest: this.#oldestOpen(id), topic, body }), {
          schedule,
          everyMs: retryMs,
        });
      });
    } finally {
      this.#open.delete(id);
      endRepeat();
      endDeadline();
    }
  }

  /** Takes a message off the channel. */
  receive(message: Ask | Answered): void {
    if (message.kind === "ask") void this.#answer(message);
    else if (message.ok) this.#open.get(message.id)?.resolve(message.body);
    else this.#open.get(message.id)?.reject(unanswered(message.body));
  }

  /** Fails what is open. */
  close(): void {
    for (const { reject } of this.#open.values()) reject(unanswered("the other end is gone"));
  }

  #oldestOpen(none: number): number {
    const [oldest = none] = this.#open.keys();
    return oldest;
  }

  async #answer({ id, oldest, topic, body }: Ask): Promise<void> {
    this.#forget(oldest);
    // A repetition that others have overtaken.
    if (id < this.#oldest) return;
    if (!this.#answers.has(id)) {
      this.#answers.set(id, undefined);
      const answer = await this.#answerOf(id, { topic, body });
      // Nobody waits for it any more.
      if (!this.#answers.has(id)) return;
      this.#answers.set(id, answer);
    }
    const answer = this.#answers.get(id);
    if (answer !== undefined) this.#options.post(answer);
  }

  #forget(oldest: number): void {
    this.#oldest = Math.max(this.#oldest, oldest);
    for (const id of this.#answers.keys()) if (id < this.#oldest) this.#answers.delete(id);
  }

  async #answerOf(id: number, { topic, body }: { readonly topic: string; readonly body: string }): Promise<Message> {
    try {
      const answer = this.#options.answers.get(topic);
      if (answer === undefined) throw unanswered(`nobody answers: ${topic}`);
      return { kind: "answer", id, ok: true, body: await answer(body) };
    } catch (error) {
      return { kind: "answer", id, ok: false, body: error instanceof Error ? error.message : String(error) };
    }
  }
}

function unanswered(why: string): VitrineError {
  return new VitrineError("shutting_down", `ask across threads: ${why}`);
}
