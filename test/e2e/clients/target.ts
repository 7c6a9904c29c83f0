import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { formatToken } from "../../../src/access/tokens.ts";
import { testToken } from "../../http/tokens.ts";
import type { Checks } from "../support/checks.ts";
import { MetricsPage } from "../support/metrics_page.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";

/** What a build printed, and how it ended. */
export interface Build {
  readonly code: number | null;
  readonly text: string;
}

const BUILD_TIMEOUT_MS = 120_000;
const client = testToken("client", { scopes: ["read", "write", "delete"], tenant: "team" });
const reader = testToken("reader", { scopes: ["read"], tenant: "team" });
const admin = testToken("admin", { scopes: ["read", "delete", "metrics"], tenant: "team" });

/** A server for one build client, and a folder for what is built. */
export class Target {
  readonly checks: Checks;
  readonly folder: string;
  readonly token: string = client.secret;
  readonly readerToken: string = reader.secret;
  readonly #runtime: SuiteRun["runtime"];
  #flags: Readonly<Record<string, string>> = {};
  #server: ServerProcess;

  private constructor({ runtime, folder, checks }: SuiteRun, server: ServerProcess) {
    this.#runtime = runtime;
    this.folder = folder;
    this.checks = checks;
    this.#server = server;
  }

  /** Starts a server over an empty tier in the run's folder. */
  static async start(run: SuiteRun): Promise<Target> {
    return new Target(run, await startServer(run));
  }

  /** The server's URL; another one after `restart` and `damage`. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.address.port}`;
  }

  /** Writes files below the folder, by their paths. */
  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }

  /** Runs a program in the folder to its end, whatever that is. */
  build(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Build {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: this.folder,
      encoding: "utf8",
      timeout: BUILD_TIMEOUT_MS,
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    return { code: status, text: stdout + stderr };
  }

  /** The requests by method, route and status that the server counts while `work` runs; of these routes alone. */
  async requests(prefix: string, work: () => unknown): Promise<Readonly<Record<string, number>>> {
    const before = await this.#counts(prefix);
    await work();
    const after = await this.#counts(prefix);
    return Object.fromEntries(
      Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
        .filter(([, count]) => count > 0),
    );
  }

  /** The objects below a prefix, by key. */
  async objects(prefix: string): Promise<ReadonlyMap<string, Buffer>> {
    const listed = await this.#ask("GET", `/v1/objects?limit=1000&prefix=${encodeURIComponent(prefix)}`);
    const { objects } = await listed.json();
    const found = new Map<string, Buffer>();
    for (const { key } of objects) {
      const response = await this.#ask("GET", `/v1/objects/${encodeURIComponent(key)}`);
      found.set(String(key), Buffer.from(await response.arrayBuffer()));
    }
    return found;
  }

  /** Deletes the objects below a prefix, and returns their number. */
  async remove(prefix: string): Promise<number> {
    const keys = Array.from(await this.objects(prefix), ([key]) => key);
    for (const key of keys) await this.#ask("DELETE", `/v1/objects/${encodeURIComponent(key)}`);
    return keys.length;
  }

  /** Stops the server, flips a byte of each object below a prefix on its disk, and starts another; their number. */
  async damage(prefix: string): Promise<number> {
    const objects = await this.objects(prefix);
    this.checks.equal("the server stops", { actual: await this.#server.stop(), expected: 0 });
    const tier = join(this.folder, "tier");
    const files = readdirSync(tier, { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.segment$|^objects\/.*\w$/.test(name)
    );
    const damaged = new Set<string>();
    for (const name of files) {
      const path = join(tier, name);
      const bytes = readFileSync(path);
      for (const [key, body] of objects) {
        // Of an object that was stored before, an older record may be there too.
        for (let at = bytes.indexOf(body); at >= 0; at = bytes.indexOf(body, at + 1)) {
          const middle = at + (body.length >> 1);
          bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
          damaged.add(key);
        }
      }
      writeFileSync(path, bytes);
    }
    await this.#begin();
    return damaged.size;
  }

  /** Stops the server and starts another over the same tier, with these flags. */
  async restart(flags: Readonly<Record<string, string>>): Promise<void> {
    this.checks.equal("the server stops", { actual: await this.#server.stop(), expected: 0 });
    this.#flags = flags;
    await this.#begin();
  }

  async stop(): Promise<void> {
    this.checks.equal("the server stops", { actual: await this.#server.stop(), expected: 0 });
  }

  async #begin(): Promise<void> {
    this.#server = await startServer({ runtime: this.#runtime, folder: this.folder }, this.#flags);
  }

  async #ask(method: string, path: string): Promise<Response> {
    const response = await fetch(this.url + path, { method, headers: admin.bearer });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** Once nothing is in progress any more: a body that has left is counted a moment later. */
  async #counts(prefix: string): Promise<Readonly<Record<string, number>>> {
    const page = await until(
      async () => {
        const { host, port } = this.#server.adminAddress;
        const response = await fetch(`http://${host}:${port}/metrics`, { headers: admin.bearer });
        return new MetricsPage(await response.text());
      },
      // The scrape itself is one of them.
      (each) => each.sum("http_server_active_requests") <= 1,
      { timeoutMs: 5000 },
    );
    const labels = ["http_request_method", "http_route", "http_response_status_code"];
    const all = page.by("http_server_request_duration_seconds_count", labels);
    return Object.fromEntries(Object.entries(all).filter(([name]) => name.split(" ")[1]?.startsWith(prefix)));
  }
}

async function startServer(
  { runtime, folder }: Pick<SuiteRun, "runtime" | "folder">,
  flags: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const tokens = [client, reader, admin].map(({ entry }) => formatToken(entry)).join("\n");
  const l2 = `file://${join(folder, "tier")}?max=256MiB`;
  const server = await ServerProcess.start({
    runtime,
    flags: { workers: "2", "l1-size": "64MiB", l2, tokens, ...flags },
  });
  // The durations of requests are in /metrics from the first one on.
  await fetch(`http://127.0.0.1:${server.address.port}/healthz`);
  return server;
}
