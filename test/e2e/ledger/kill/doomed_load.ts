import { Counts } from "../../support/counts.ts";
import type { Exchange, Ledger } from "../../support/ledger.ts";
import type { Load } from "../load.ts";
import type { Operations } from "../operations.ts";

/** What became unknown when a worker died. */
export interface Unknown {
  /** Requests without an answer, by method. */
  readonly requests: Counts;
  /** Bodies of the PUTs among them. */
  readonly writtenBytes: number;
  /**
   * Requests that the broken connections had finished since the mark: the dead worker answered them, their events may
   * not have left it.
   */
  readonly finished: number;
  /** Bodies of the PUTs among these. */
  readonly finishedBytes: number;
}

/** A connection's requests since the mark. */
interface Since {
  finished: number;
  finishedBytes: number;
}

/** A load that goes on when connections break, and keeps book of what is unknown then. */
export class DoomedLoad {
  readonly #load: Load;
  readonly #operations: Operations;
  readonly #connections: number;
  readonly #ledger: Ledger;
  readonly #unknown = { requests: new Counts(), writtenBytes: 0, finished: 0, finishedBytes: 0 };
  readonly #waiting: { readonly at: number; readonly resolve: () => void }[] = [];
  #since = new Map<symbol, Since>();
  #answered = 0;

  constructor(
    load: Load,
    { operations, connections, ledger }: {
      readonly operations: Operations;
      readonly connections: number;
      readonly ledger: Ledger;
    },
  ) {
    this.#load = load;
    this.#operations = operations;
    this.#connections = connections;
    this.#ledger = ledger;
  }

  get unknown(): Unknown {
    return this.#unknown;
  }

  /**
   * What is answered from here on may be lost with a worker; what was answered before is in a scrape that begins now.
   */
  mark(): void {
    this.#since = new Map();
  }

  /** Resolves when so many more requests have been answered. */
  answered(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ at: this.#answered + count, resolve });
    return promise;
  }

  /** Sends operations until the promise is settled. */
  async runUntil(end: Promise<unknown>): Promise<void> {
    const state = { running: true };
    const stop = () => {
      state.running = false;
    };
    end.then(stop, stop);
    const loop = async () => {
      while (state.running) {
        const client = this.#load.newClient({ record: (exchange) => this.#record(exchange) });
        const connection = Symbol("connection");
        try {
          while (state.running) await this.#send(connection, client);
        } catch {
          const { finished = 0, finishedBytes = 0 } = this.#since.get(connection) ?? {};
          this.#unknown.finished += finished;
          this.#unknown.finishedBytes += finishedBytes;
        }
        client.close();
      }
    };
    await Promise.all([end, ...Array.from({ length: this.#connections }, loop)]);
  }

  /** What a dying worker's runtime says in its place (a refusal, on Bun also a bare 204) is no answer. */
  #record(exchange: Exchange): void {
    const { method, status } = exchange;
    if (status === 503 || (status === 204 && method !== "DELETE")) throw new Error(`${method}: status ${status}`);
    this.#ledger.record(exchange);
  }

  async #send(connection: symbol, client: ReturnType<Load["newClient"]>): Promise<void> {
    const operation = this.#operations.next();
    const bytes = operation.body?.byteLength ?? 0;
    try {
      await this.#load.request(operation, client);
    } catch (error) {
      this.#unknown.requests.add(operation.method);
      this.#unknown.writtenBytes += bytes;
      throw error;
    }
    const since = this.#since.get(connection) ?? { finished: 0, finishedBytes: 0 };
    this.#since.set(connection, since);
    since.finished++;
    since.finishedBytes += bytes;
    this.#answered++;
    for (const waiting of this.#waiting) if (waiting.at === this.#answered) waiting.resolve();
  }
}
