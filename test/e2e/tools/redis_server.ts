import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { ensureInstalled } from "./debian.ts";
import { freePorts } from "./free_ports.ts";
import { run } from "./run.ts";
import { ToolProcess } from "./tool_process.ts";

const startTimeoutMs = 20_000;

/** A real redis-server of Debian, on a port of the loopback interface. */
export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  readonly #args: readonly string[];
  #process: ToolProcess;

  private constructor(process: ToolProcess, options: { port: number; folder: string; args: readonly string[] }) {
    this.#process = process;
    this.port = options.port;
    this.#folder = options.folder;
    this.#args = options.args;
  }

  /** `folder`: for its data, made if it is not there; `args`: as on its command line. Resolves when it answers. */
  static async start(folder: string, args: readonly string[] = []): Promise<RedisServer> {
    ensureInstalled({ "redis-server": "redis-server", "redis-cli": "redis-tools" });
    mkdirSync(folder, { recursive: true });
    const [port = 0] = await freePorts(1);
    const server = new RedisServer(spawnServer(port, folder, args), { port, folder, args });
    await server.#untilAnswers();
    return server;
  }

  /** Starts it again, on the same port and folder, after `kill` or `stop`. */
  async restart(): Promise<void> {
    this.#process = spawnServer(this.port, this.#folder, this.#args);
    await this.#untilAnswers();
  }

  /** Runs one command with redis-cli and returns what it says. */
  command(...args: readonly string[]): string {
    return run("redis-cli", ["-p", String(this.port), ...args]).trim();
  }

  async kill(): Promise<void> {
    await this.#process.kill();
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  async #untilAnswers(): Promise<void> {
    const ask = () => Promise.resolve(this.#process.hasEnded || /PONG|NOAUTH/.test(this.#ping()));
    const answers = await until(ask, (isOver) => isOver, { timeoutMs: startTimeoutMs });
    if (!answers || this.#process.hasEnded) throw new Error(`start redis-server: ${this.#process.output}`);
  }

  #ping(): string {
    try {
      return this.command("ping");
    } catch (error) {
      return String(error);
    }
  }
}

function spawnServer(port: number, folder: string, args: readonly string[]): ToolProcess {
  const place = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
  return new ToolProcess("redis-server", [...place, "--save", "", ...args]);
}

/** Three masters that hold all slots between them. */
export async function startRedisCluster(folder: string): Promise<readonly RedisServer[]> {
  const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--appendonly", "yes"];
  const nodes = await Promise.all([0, 1, 2].map((node) => RedisServer.start(join(folder, `node-${node}`), args)));
  run("redis-cli", ["--cluster", "create", ...nodes.map(({ port }) => `127.0.0.1:${port}`), "--cluster-yes"]);
  const isWhole = (node: RedisServer) => node.command("cluster", "info").includes("cluster_state:ok");
  const ask = () => Promise.resolve(nodes.every(isWhole));
  if (!await until(ask, (ok) => ok, { timeoutMs: startTimeoutMs })) throw new Error("start cluster: not whole");
  return nodes;
}

/** A master, a replica of it, and one sentinel that watches them as "mymaster". */
export interface SentinelSet {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinelPort: number;
  stop(): Promise<void>;
}

export async function startSentinelSet(folder: string): Promise<SentinelSet> {
  const master = await RedisServer.start(join(folder, "master"));
  const replica = await RedisServer.start(join(folder, "replica"), ["--replicaof", "127.0.0.1", String(master.port)]);
  const [sentinelPort = 0] = await freePorts(1);
  const place = join(folder, "sentinel");
  mkdirSync(place);
  writeFileSync(
    join(place, "sentinel.conf"),
    [
      `port ${sentinelPort}`,
      `dir ${place}`,
      `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
      "sentinel down-after-milliseconds mymaster 3000",
      "sentinel failover-timeout mymaster 4000",
      "",
    ].join("\n"),
  );
  const sentinel = new ToolProcess("redis-server", [join(place, "sentinel.conf"), "--sentinel"]);
  const knows = () => {
    try {
      const replicas = run("redis-cli", ["-p", String(sentinelPort), "sentinel", "replicas", "mymaster"]);
      return replicas.includes(String(replica.port));
    } catch {
      return false;
    }
  };
  if (!await until(() => Promise.resolve(knows()), (ok) => ok, { timeoutMs: startTimeoutMs })) {
    throw new Error(`start sentinel: ${sentinel.output}`);
  }
  return {
    master,
    replica,
    sentinelPort,
    async stop() {
      await Promise.all([sentinel.kill(), master.kill(), replica.kill()]);
    },
  };
}
