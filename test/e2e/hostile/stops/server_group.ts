import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "../../support/http/client.ts";
import type { Address } from "../../support/http/connection.ts";
import { objectPath } from "../../support/keys.ts";
import { type RuntimeName, ServerProcess } from "../../support/server_process.ts";
import { until } from "../../support/until.ts";

/** Options of a server that is started in a process group of its own. */
export interface GroupOptions {
  readonly runtime: RuntimeName;
  /** The folder of its tier. */
  readonly folder: string;
  /** By its task, as people do, or as the program itself, as service managers do. */
  readonly by: "task" | "program";
  readonly flags?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

const commands = {
  bun: { task: ["bun", "run", "start"], program: ["bun", "src/main.ts"] },
  deno: {
    task: ["deno", "task", "start"],
    program: ["deno", "run", "--allow-all", "src/main.ts"],
  },
} as const;
const fixed = { port: "0", "admin-port": "0", workers: "2", "l1-size": "256MiB", "worker-timeout": "10s" };
const startLine = /on http:\/\/127\.0\.0\.1:(?<port>\d+) admin=(?<admin>\d+)/;
/** SIGTERM's bit in the masks of /proc/PID/status. */
const TERMINATION = 1n << 14n;
const nobody = { record: () => {} };

/** A server and whatever started it, signalled together. */
export class ServerGroup {
  readonly address: Address;
  readonly #admin: Address;
  readonly #child: Running;

  private constructor(child: Running, ports: { readonly port: number; readonly admin: number }) {
    this.#child = child;
    this.address = { host: "127.0.0.1", port: ports.port };
    this.#admin = { host: "127.0.0.1", port: ports.admin };
  }

  /** Resolves when it serves. Throws with its output if it ends before. */
  static async start(options: GroupOptions): Promise<ServerGroup> {
    const child = launch(options);
    const ended = child.exit.then((code) => {
      throw new Error(`start server: ended with ${code}: ${child.output()}`);
    });
    const groups = await Promise.race([child.line(startLine), ended]);
    ended.catch(() => undefined);
    return new ServerGroup(child, { port: Number(groups["port"]), admin: Number(groups["admin"]) });
  }

  /** Starts it, sends SIGTERM after a pause, or as soon as the program handles it, and waits for the end. */
  static async interrupted(
    options: GroupOptions,
    pauseMs: number | "handled",
  ): Promise<{ readonly code: number | string; readonly output: string }> {
    const child = launch(options);
    if (pauseMs === "handled") await until(() => child.handlesTermination(), Boolean, { timeoutMs: 10_000 });
    else await wait(pauseMs);
    child.signal("SIGTERM");
    return { code: await child.exit, output: child.output() };
  }

  get output(): string {
    return this.#child.output();
  }

  /** Closes the reading end of what it prints to. */
  closeOutput(): void {
    this.#child.process.stdout?.destroy();
    this.#child.process.stderr?.destroy();
  }

  /** Sends signals to the group, each after a pause, as long as it lives; the exit code of whoever was started. */
  async signal(signals: readonly (readonly [pauseMs: number, signal: NodeJS.Signals])[]): Promise<number | string> {
    for (const [pauseMs, signal] of signals) {
      if (pauseMs > 0) await wait(pauseMs);
      this.#child.signal(signal);
    }
    return await this.#child.exit;
  }

  /** Requests in hand at this moment, beside the one that asks. */
  async activeRequests(): Promise<number> {
    const client = new Client(this.#admin, nobody);
    const { body } = await client.request({ method: "GET", path: "/status" });
    client.close();
    const status: unknown = JSON.parse(new TextDecoder().decode(body));
    const count = typeof status === "object" && status !== null && "active_requests" in status
      ? status.active_requests
      : undefined;
    return Number(count) - 1;
  }
}

interface Running {
  readonly process: ChildProcess;
  readonly exit: Promise<number | string>;
  output(): string;
  line(pattern: RegExp): Promise<Readonly<Record<string, string>>>;
  signal(name: NodeJS.Signals): void;
  /** True if the process has a handler for SIGTERM. */
  handlesTermination(): Promise<boolean>;
}

function launch({ runtime, folder, by, flags = {}, env = {} }: GroupOptions): Running {
  const [command, ...args] = commands[runtime][by];
  const settings = Object.entries({ ...fixed, l2: `file://${folder}`, ...flags });
  const all = [...args, ...settings.flatMap(([name, value]) => [`--${name}`, value])];
  const child = spawn(command, all, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const signal = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // The group has ended.
    }
  };
  process.once("exit", () => signal("SIGKILL"));
  const output: string[] = [];
  const found = Promise.withResolvers<Readonly<Record<string, string>>>();
  let wanted: RegExp | undefined;
  const look = (): void => {
    const groups = wanted?.exec(output.join(""))?.groups;
    if (groups !== undefined) found.resolve(groups);
  };
  const read = (chunk: Uint8Array): void => {
    output.push(chunk.toString());
    look();
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const exit = new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, name) => resolve(code ?? name ?? "unknown"));
  });
  return {
    process: child,
    exit,
    output: () => output.join(""),
    line(pattern) {
      wanted = pattern;
      look();
      return found.promise;
    },
    signal,
    async handlesTermination() {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      const [, mask = "0"] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status) ?? [];
      return (BigInt(`0x${mask}`) & TERMINATION) !== 0n;
    },
  };
}

/** Random bytes under so many keys; those that were acknowledged. */
export async function putMany(
  address: Address,
  count: number,
  sizeBytes: number,
  stem = "object",
): Promise<readonly string[]> {
  const client = new Client(address, nobody);
  const keys: string[] = [];
  for (let number = 0; number < count; number++) {
    const key = `${stem}-${number}`;
    const { status } = await client.request({ method: "PUT", path: objectPath(key), body: randomBytes(sizeBytes) });
    if (status === 201) keys.push(key);
  }
  client.close();
  if (keys.length !== count) throw new Error(`put objects: ${keys.length} of ${count} were acknowledged`);
  return keys;
}

/** The keys that a server started anew over the folder does not have. */
export async function missing(
  { runtime }: { readonly runtime: RuntimeName },
  folder: string,
  keys: readonly string[],
): Promise<readonly string[]> {
  const server = await ServerProcess.start({ runtime, flags: { l2: `file://${folder}`, "l1-size": "64MiB" } });
  const client = new Client(server.address, nobody);
  const gone: string[] = [];
  for (const key of keys) {
    const { status } = await client.request({ method: "HEAD", path: objectPath(key) });
    if (status !== 200) gone.push(key);
  }
  client.close();
  await server.stop();
  return gone;
}
