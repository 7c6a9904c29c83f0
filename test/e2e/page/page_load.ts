import { setTimeout as wait } from "node:timers/promises";
import { objectPath } from "../support/keys.ts";
import { Random } from "../support/random.ts";

const tenants = ["team-red", "team-green", "team-blue", "team-violet"];
const keyCount = 300;
const largestBytes = 200_000;
const clients = 5;

/** Readers of several tenants who store what they miss and delete now and then, in waves, until they are stopped. */
export class PageLoad {
  readonly #url: string;
  readonly #random: Random;
  readonly #body: Uint8Array<ArrayBuffer>;
  readonly #running: Promise<unknown>;
  #stopped = false;

  /** Starts it against a server's address. */
  constructor(url: string, seed: number) {
    this.#url = url;
    this.#random = new Random(seed);
    this.#body = this.#random.bytes(largestBytes);
    this.#running = Promise.all(Array.from({ length: clients }, () => this.#client()));
  }

  /** Resolves when the last request is answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #client(): Promise<void> {
    for (let step = 0; !this.#stopped; step++) {
      // Small numbers are more likely: some tenants and objects are popular.
      const tenant = tenants[Math.min(this.#random.below(tenants.length), this.#random.below(tenants.length))] ?? "";
      const key = Math.min(this.#random.below(keyCount), this.#random.below(keyCount));
      await this.#visit(`${this.#url}${objectPath(`models/chunk-${key}`)}`, { "vitrine-tenant": tenant });
      await wait(this.#random.below(25) * (1.2 + Math.sin(step / 250)));
    }
  }

  async #visit(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
    const read = await fetch(url, { headers });
    await read.arrayBuffer();
    if (read.status === 404) {
      const body = this.#body.subarray(0, this.#random.logUniform(1000, largestBytes));
      await (await fetch(url, { method: "PUT", headers, body })).arrayBuffer();
    } else if (this.#random.below(50) === 0) await (await fetch(url, { method: "DELETE", headers })).arrayBuffer();
  }
}
