import { once } from "node:events";
import { Worker } from "node:worker_threads";
import * as v from "valibot";
import type { Address } from "../../support/http/connection.ts";
import type { Ledger } from "../../support/ledger.ts";

const probeSchema = v.array(v.object({ path: v.string(), sizeBytes: v.number(), ms: v.number() }));

/** Asks the admin port again and again, from a thread of its own, and says how long the answers took. */
export class AdminProbe {
  readonly #thread: Worker;

  constructor(address: Address) {
    this.#thread = new Worker(new URL("./admin_probe_thread.ts", import.meta.url).pathname, { workerData: address });
  }

  /** Ends the probe, enters what it asked into the ledger and returns the 99th percentiles in milliseconds, by path. */
  async finish(ledger: Ledger): Promise<Readonly<Record<string, number>>> {
    this.#thread.postMessage("finish");
    const [message] = await once(this.#thread, "message");
    const probes = v.parse(probeSchema, message);
    for (const { path, sizeBytes } of probes) {
      const exchange = { method: "GET", path, status: 200, requestBytes: 0, responseBytes: sizeBytes, cacheStatus: "" };
      ledger.record(exchange);
    }
    const paths = [...new Set(probes.map(({ path }) => path))];
    return Object.fromEntries(paths.map((path) => {
      const times = probes.filter((probe) => probe.path === path).map(({ ms }) => ms).toSorted((a, b) => a - b);
      return [path, Math.round(10 * (times[Math.floor(times.length * 0.99)] ?? 0)) / 10];
    }));
  }
}
