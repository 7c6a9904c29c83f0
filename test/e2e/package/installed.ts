import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import type { Checks } from "../support/checks.ts";
import { until } from "../support/until.ts";

const TIMEOUT_MS = 120_000;
const START_LINE = /^vitrine \d+\.\d+\.\d+ on (?<url>http:\/\/\S+) admin=(?<admin>\d+) /m;

/** A server that was started by a command as people type it, in a process group of its own, as a shell does. */
export class Installed {
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | string>;
  #output = "";

  /** Starts the command, with settings for a trial. */
  constructor(command: readonly string[], options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) {
    const [program = "", ...args] = command;
    this.#child = spawn(program, [...args, "--port", "0", "--admin-port", "0", "--workers", "2"], {
      ...options,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#exit = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(String(error)));
      this.#child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Uint8Array) => this.#output += chunk.toString());
    }
    process.once("exit", () => this.#signal("SIGKILL"));
  }

  /** All that was printed. */
  get output(): string {
    return this.#output;
  }

  /** Waits for the start line; the addresses of both ports. Throws if it does not come. */
  async addresses(): Promise<{ readonly service: string; readonly admin: string }> {
    const address = () => START_LINE.exec(this.#output)?.groups;
    let code: number | string | undefined;
    void this.#exit.then((ended) => code = ended);
    const groups = await until(
      () => Promise.resolve(address()),
      (found) => found !== undefined || code !== undefined,
      { timeoutMs: TIMEOUT_MS },
    );
    if (groups === undefined) throw new Error(`no start line, exit ${code ?? "none"}: ${this.#output}`);
    return { service: groups["url"] ?? "", admin: `http://127.0.0.1:${groups["admin"]}` };
  }

  /** Ctrl-C; the exit code, and how many processes of the group are left. */
  async interrupt(): Promise<readonly [number | string, boolean]> {
    this.#signal("SIGINT");
    const code = await this.#exit;
    return [code, this.#signal(0)];
  }

  #signal(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-(this.#child.pid ?? NaN), signal);
    } catch {
      return false;
    }
  }
}

/** Stores, reads, scrapes, looks at the page and stops; `exit` is how the command then ends. */
export async function checkServed(
  name: string,
  installed: Installed,
  { checks, exit }: { readonly checks: Checks; readonly exit: number | string },
): Promise<void> {
  const { service, admin } = await installed.addresses();
  const body = crypto.getRandomValues(new Uint8Array(50_000));
  const url = `${service}/v1/objects/some%20key`;
  const stored = await fetch(url, { method: "PUT", body });
  const read = await fetch(url);
  const bytes = new Uint8Array(await read.arrayBuffer());
  checks.equal(`${name}: PUT, GET`, { actual: [stored.status, read.status], expected: [201, 200] });
  checks.that(`${name}: the bytes are the same`, Buffer.compare(bytes, body) === 0, () => `${bytes.length} bytes`);
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  checks.that(
    `${name}: the PUT is counted`,
    /^http_server_request_duration_seconds_count\{.*201.*\} 1$/m.test(metrics),
  );
  const pages = await Promise.all(
    ["/", "/page/main.js", "/page/uplot.js", "/page/view/dom.js", "/openapi.json"].map(async (path) =>
      (await fetch(service + path)).status
    ),
  );
  checks.equal(`${name}: the page and the specification`, { actual: pages, expected: [200, 200, 200, 200, 200] });
  checks.equal(`${name}: exit code after Ctrl-C, anything left`, {
    actual: await installed.interrupt(),
    expected: [exit, false],
  });
  checks.that(
    `${name}: a graceful stop`,
    /vitrine: stopped in .* s: \d objects stored/.test(installed.output),
    () => installed.output,
  );
}
