import { join } from "node:path";
import { freePorts } from "../tools/free_ports.ts";
import { ToolProcess } from "../tools/tool_process.ts";
import { until } from "../support/until.ts";

/** Importing PyTorch takes a minute on a machine that does other things too. */
const START_MS = 180_000;

/** A whole LMCache server, with an empty memory of its own and an L2 adapter. */
export class LmcacheServer {
  readonly rpcUrl: string;
  readonly url: string;
  readonly #process: ToolProcess;

  private constructor(process: ToolProcess, ports: { readonly rpc: number; readonly http: number }) {
    this.#process = process;
    this.rpcUrl = `tcp://127.0.0.1:${ports.rpc}`;
    this.url = `http://127.0.0.1:${ports.http}`;
  }

  /** Resolves when it is healthy. Throws with its output if it ends before. */
  static async start(
    programs: string,
    { adapter, env }: { readonly adapter: string; readonly env: readonly string[] },
  ): Promise<LmcacheServer> {
    const [rpc = 0, http = 0] = await freePorts(2);
    const flags = {
      host: "127.0.0.1",
      port: String(rpc),
      "http-host": "127.0.0.1",
      "http-port": String(http),
      "chunk-size": "256",
      "l1-size-gb": "1",
      "eviction-policy": "LRU",
      "max-workers": "1",
      "supported-transfer-mode": "engine_driven",
      "l2-adapter": adapter,
    };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const process = new ToolProcess("env", [
      ...env,
      join(programs, "python"),
      join(programs, "lmcache"),
      "server",
      ...args,
    ]);
    const server = new LmcacheServer(process, { rpc, http });
    const isUp = async () => (await fetch(`${server.url}/healthcheck`).catch(() => undefined))?.ok ?? false;
    if (!await until(isUp, (up) => up || process.hasEnded, { timeoutMs: START_MS })) {
      throw new Error(`start lmcache server: ${process.output.slice(-4000)}`);
    }
    return server;
  }

  get output(): string {
    return this.#process.output;
  }

  /** Its metrics, as text. */
  async metrics(): Promise<string> {
    return await (await fetch(`${this.url}/metrics`)).text();
  }

  /** Asks it to stop and waits for the end. */
  async stop(): Promise<void> {
    await this.#process.stop();
  }
}
