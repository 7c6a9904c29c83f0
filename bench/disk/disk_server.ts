import { Client } from "../../test/e2e/support/http/client.ts";
import { inParallel } from "../../test/e2e/support/in_parallel.ts";
import { untilStored } from "../../test/e2e/support/server_api.ts";
import { ServerProcess } from "../../test/e2e/support/server_process.ts";
import { until } from "../../test/e2e/support/until.ts";
import type { PartRun, Row } from "./disk_part.ts";

const ledger = { record: () => {} };
const storedTimeoutMs = 60_000;

/** A server with two workers, and what the bench asks it besides its load. */
export class DiskServer {
  readonly process: ServerProcess;
  readonly #client: Client;
  readonly #admin: Client;

  private constructor(process: ServerProcess) {
    this.process = process;
    this.#client = new Client(process.address, ledger);
    this.#admin = new Client(process.adminAddress, ledger);
  }

  /** `l2`: none, or the folder of a file tier. */
  static async start(
    { runtime, tree }: Pick<PartRun, "runtime" | "tree">,
    { l2, flags = {}, startTimeoutMs = 120_000 }: {
      readonly l2: string;
      readonly flags?: Readonly<Record<string, string>>;
      readonly startTimeoutMs?: number;
    },
  ): Promise<DiskServer> {
    const tier = l2 === "none" ? l2 : `file://${l2}`;
    const all = { workers: "2", "l1-size": "1GiB", l2: tier, ...flags };
    const program = `${tree}/src/main.ts`;
    return new DiskServer(await ServerProcess.start({ runtime, flags: all, program, startTimeoutMs }));
  }

  get port(): number {
    return this.process.address.port;
  }

  /** Throws if it is not stored. */
  async put(path: string, body: Uint8Array): Promise<void> {
    const { status } = await this.#client.request({ method: "PUT", path, body });
    if (status >= 300) throw new Error(`PUT ${path}: ${status}`);
  }

  /** PUTs `path-0` and so on. */
  async fill(path: string, { keys, sizeBytes }: { readonly keys: number; readonly sizeBytes: number }): Promise<void> {
    const body = new Uint8Array(sizeBytes).fill(120);
    await inParallel(Array.from({ length: keys }, (_, key) => `${path}-${key}`), 16, (each) => this.put(each, body));
  }

  /** Status of a GET. */
  async get(path: string): Promise<number> {
    return (await this.#client.request({ method: "GET", path })).status;
  }

  /** Status of a DELETE. */
  async delete(path: string): Promise<number> {
    return (await this.#client.request({ method: "DELETE", path })).status;
  }

  /** Takes everything out of memory that a tier has. */
  async clearL1(): Promise<void> {
    const { status } = await this.#client.request({ method: "DELETE", path: "/v1/objects?clear=all&tier=l1" });
    if (status >= 300) throw new Error(`clear l1: ${status}`);
  }

  /** Resolves when no acknowledged object waits for the tier. */
  async untilStored(): Promise<void> {
    await untilStored(this.#admin, storedTimeoutMs);
  }

  /** Resolves when /readyz says 200; throws after `timeoutMs`. */
  async untilReady(timeoutMs: number): Promise<void> {
    const ask = async () => (await this.#admin.request({ method: "GET", path: "/readyz" })).status;
    const status = await until(ask, (answer) => answer === 200, { timeoutMs, everyMs: 10 });
    if (status !== 200) throw new Error(`/readyz: ${status}`);
  }

  /** The number of workers that were replaced. */
  async restarts(): Promise<number> {
    const { body } = await this.#admin.request({ method: "GET", path: "/status" });
    return Number(/"worker_restarts":\s*(\d+)/.exec(new TextDecoder().decode(body))?.[1] ?? Number.NaN);
  }

  async stop(): Promise<void> {
    this.#close();
    const code = await this.process.stop();
    if (code !== 0) throw new Error(`stop server: ${code}: ${this.process.output}`);
  }

  async kill(): Promise<void> {
    this.#close();
    await this.process.kill();
  }

  #close(): void {
    this.#client.close();
    this.#admin.close();
  }
}

/** Starts servers, measures, and ends them whatever happens. */
export async function withServers<Name extends string>(
  run: PartRun,
  servers: Readonly<Record<Name, Parameters<typeof DiskServer.start>[1]>>,
  measure: (started: Readonly<Record<Name, DiskServer>>) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const started: Partial<Record<Name, DiskServer>> = {};
  try {
    for (const name in servers) started[name] = await DiskServer.start(run, servers[name]);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every name has got its server
    return await measure(started as Record<Name, DiskServer>);
  } finally {
    for (const name in started) await started[name]?.kill();
  }
}
