/** Everything that is not a packed batch, in both directions. */
export type Message =
  /** Producer: tell me what is listened to. */
  | { readonly kind: "hello" }
  /** Collector: this is what is listened to. */
  | { readonly kind: "interest"; readonly version: number; readonly wants: Readonly<Record<string, unknown>> }
  /** Producer: I go by this version. */
  | { readonly kind: "heard"; readonly version: number }
  /** Collector: every batch up to this one has been dispatched. */
  | { readonly kind: "ack"; readonly sequence: number }
  /** Collector: send what you have. */
  | { readonly kind: "flush"; readonly id: number }
  /** Producer: all I had when I was asked is in the batches up to this one. */
  | { readonly kind: "flushed"; readonly id: number; readonly sequence: number }
  /**
   * Either: a question. `oldest`: the first that is still open at this end; the answers to those before it may be
   * forgotten.
   */
  | {
    readonly kind: "ask";
    readonly id: number;
    readonly oldest: number;
    readonly topic: string;
    readonly body: string;
  }
  /** Either: its answer, or, unless `ok`, why there is none. */
  | { readonly kind: "answer"; readonly id: number; readonly ok: boolean; readonly body: string };

const shapes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  hello: {},
  interest: { version: "number", wants: "object" },
  heard: { version: "number" },
  ack: { sequence: "number" },
  flush: { id: "number" },
  flushed: { id: "number", sequence: "number" },
  ask: { id: "number", oldest: "number", topic: "string", body: "string" },
  answer: { id: "number", ok: "boolean", body: "string" },
};

/** A message off the channel; undefined if it is none of ours. */
export function parseMessage(data: unknown): Message | undefined {
  if (typeof data !== "object" || data === null || !("kind" in data)) return undefined;
  const shape = shapes[String(data.kind)];
  if (shape === undefined) return undefined;
  const values = new Map(Object.entries(data));
  const fits = Object.entries(shape).every(([name, type]) => typeof values.get(name) === type);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its shape was checked
  return fits ? data as Message : undefined;
}
