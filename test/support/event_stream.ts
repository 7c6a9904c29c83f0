/** A record as a client of /v1/events sees it. */
export interface SeenRecord {
  readonly id: string;
  readonly name: string;
  /** Null: nobody knows. */
  readonly count: number | null;
  readonly [field: string]: unknown;
}

/** A client of /v1/events, in lines of JSON or as Server-Sent Events. */
export class EventStream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #lines: string[] = [];
  #rest = "";

  constructor(response: Response) {
    if (response.body === null) throw new Error("read events: no body");
    this.#reader = response.body.getReader();
  }

  /** The next line, an empty one too; undefined at the end. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      const lines = (this.#rest + this.#decoder.decode(value, { stream: true })).split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines);
    }
  }

  /** The next record; throws if the stream ends before. */
  async next(): Promise<SeenRecord> {
    for (;;) {
      const line = await this.line();
      if (line === undefined) throw new Error("read events: the stream ended");
      const json = line.startsWith("data: ") ? line.slice("data: ".length) : line;
      if (json.startsWith("{")) return parseRecord(json);
    }
  }

  /** The next record that fits. */
  async find(fits: (record: SeenRecord) => boolean): Promise<SeenRecord> {
    for (;;) {
      const record = await this.next();
      if (fits(record)) return record;
    }
  }

  /** Goes away. */
  async leave(): Promise<void> {
    await this.#reader.cancel();
  }
}

function parseRecord(json: string): SeenRecord {
  return JSON.parse(json);
}
