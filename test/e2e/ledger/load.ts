import type { Checks } from "../support/checks.ts";
import { Client } from "../support/http/client.ts";
import type { Address } from "../support/http/connection.ts";
import type { Ledger } from "../support/ledger.ts";
import { breakDownload, breakUpload } from "./broken_off.ts";
import { KeyActivity } from "./key_activity.ts";
import { isBig, type Operation, type Operations, pathOf } from "./operations.ts";

/** What a load runs on. */
export interface LoadOptions {
  readonly address: Address;
  readonly ledger: Ledger;
  readonly checks: Checks;
  readonly operations: Operations;
  readonly connections: number;
}

/** Statuses that the operations may be answered with. */
const expected: Readonly<Record<Operation["method"], ReadonlySet<number>>> = {
  PUT: new Set([200, 201, 400, 412]),
  GET: new Set([200, 206, 304, 404, 412, 416]),
  HEAD: new Set([200, 404]),
  DELETE: new Set([204, 404]),
};

/** Sends operations over many connections at a time, each kept open for some hundred requests. */
export class Load {
  readonly #options: LoadOptions;
  readonly #activity = new KeyActivity();
  #racedHits = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** GETs answered from L1 during which something else happened to their key: they may have missed it at first. */
  get racedHits(): number {
    return this.#racedHits;
  }

  /** Stores what is there from the start. */
  async prepare(): Promise<void> {
    const client = this.newClient();
    for (const operation of this.#options.operations.big()) await this.request(operation, client);
    client.close();
  }

  /** Sends so many operations; none may fail. */
  async run(count: number): Promise<void> {
    const { operations, connections } = this.#options;
    let left = count;
    const loop = async () => {
      let client = this.newClient();
      for (let sent = 0; left > 0; sent++) {
        left--;
        await this.operate(operations.next(), client);
        if (sent % 300 !== 299) continue;
        client.close();
        client = this.newClient();
      }
      client.close();
    };
    await Promise.all(Array.from({ length: connections }, loop));
  }

  /** A client that writes into the ledger of this load, or another. */
  newClient(ledger: Pick<Ledger, "record"> = this.#options.ledger): Client {
    return new Client(this.#options.address, ledger);
  }

  /** Does one operation, broken off or not. Throws if a connection breaks that should not. */
  async operate(operation: Operation, client: Client): Promise<void> {
    const { address, ledger } = this.#options;
    if (operation.kind === "broken upload") return await breakUpload(operation, address, ledger);
    if (operation.kind === "broken download") return await breakDownload(operation, address, ledger);
    await this.request(operation, client);
  }

  async request(operation: Operation, client: Client): Promise<void> {
    const { method, key, headers, body, chunked = false } = operation;
    const path = pathOf(operation);
    const end = this.#activity.begin(key);
    const sent = body === undefined ? {} : { body: chunked ? [body] : body };
    const answer = await client.request({ method, path, headers, ...sent });
    const raced = end() || isBig(operation);
    const hit = method === "GET" && /;\s*detail=l1/.test(answer.headers.get("cache-status") ?? "");
    if (raced && hit) this.#racedHits++;
    const { status } = answer;
    const told = () => `: ${status} ${new TextDecoder().decode(answer.body)}`;
    this.#options.checks.that(`${method} ${path}`, expected[method].has(status), told);
  }
}
