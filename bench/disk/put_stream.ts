import process from "node:process";
import { Client } from "../../test/e2e/support/http/client.ts";
import type { Address } from "../../test/e2e/support/http/connection.ts";

const TICK_MS = 10;
/** A server that keeps its clients waiting gets no more requests than this at once. */
const MAX_IN_FLIGHT = 256;

/** The result of a stream of PUTs. */
export interface StreamResult {
  readonly acknowledged: readonly string[];
  readonly failed: number;
  /** Acknowledged. */
  readonly perSecond: number;
  /** Processor time of this process, in cores. */
  readonly generatorCores: number;
}

/** PUTs of new keys at a rate, from this process, beside another load. */
export class PutStream {
  readonly #client: Client;
  readonly #path: string;
  readonly #perSecond: number;
  readonly #body: Uint8Array;
  readonly #acknowledged: string[] = [];
  readonly #inFlight: Set<Promise<void>> = new Set();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #startMs = performance.now();
  readonly #startCpu = process.cpuUsage();
  #asked = 0;
  #failed = 0;

  constructor(
    address: Address,
    { path, perSecond, sizeBytes }: { readonly path: string; readonly perSecond: number; readonly sizeBytes: number },
  ) {
    this.#client = new Client(address, { record: () => {} });
    this.#path = path;
    this.#perSecond = perSecond;
    this.#body = new Uint8Array(sizeBytes).fill(121);
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  /** Sends no more, and waits for what is under way. */
  async stop(): Promise<StreamResult> {
    clearInterval(this.#timer);
    const seconds = (performance.now() - this.#startMs) / 1000;
    const { user, system } = process.cpuUsage(this.#startCpu);
    const perSecond = this.#acknowledged.length / seconds;
    await Promise.all(this.#inFlight);
    this.#client.close();
    const generatorCores = (user + system) / 1e6 / seconds;
    return { acknowledged: this.#acknowledged, failed: this.#failed, perSecond, generatorCores };
  }

  #send(): void {
    const due = this.#perSecond * (performance.now() - this.#startMs) / 1000;
    while (this.#asked < due) {
      this.#asked += 1;
      if (this.#inFlight.size >= MAX_IN_FLIGHT) continue;
      const sent = this.#put(`${this.#path}-${this.#asked}`);
      this.#inFlight.add(sent);
      void sent.finally(() => this.#inFlight.delete(sent));
    }
  }

  async #put(path: string): Promise<void> {
    try {
      const { status } = await this.#client.request({ method: "PUT", path, body: this.#body });
      if (status < 300) this.#acknowledged.push(path);
      else this.#failed += 1;
    } catch {
      this.#failed += 1;
    }
  }
}
