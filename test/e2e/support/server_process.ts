import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import type { Address } from "./http/connection.ts";

/** The runtimes a server can run on. */
export type RuntimeName = "bun" | "deno";

/** How a server is started. */
export interface ServerOptions {
  readonly runtime: RuntimeName;
  /** Flags as on the command line, without the leading dashes. */
  readonly flags: Readonly<Record<string, string>>;
  /** Flags that stand alone, without the leading dashes. */
  readonly switches?: readonly string[];
  /** A command before the runtime's own, such as `taskset -c 0`. */
  readonly prefix?: readonly string[];
  /** Another program that takes the same flags and prints the same start line (default: src/main.ts). */
  readonly program?: string;
  /** How long it may take until it listens (default: 20 s). */
  readonly startTimeoutMs?: number;
}

/** Memory of a process in bytes. */
export interface ProcessMemory {
  /** Private and shared memory that holds data; pages of the program's own file are not in it. */
  readonly dataBytes: number;
  /** The most that was ever resident, the program's file included. */
  readonly peakBytes: number;
}

const defaultStartTimeoutMs = 60_000;
/** A machine that is busy with other things must not make a worker look dead. */
const workerTimeout = "10s";
/** As in the task `start` and the settings of deno.json, which a program of a built package does not find. */
const denoFlags = ["--allow-all", "--unstable-net", "--v8-flags=--max-semi-space-size=4"];
const adminPort = /\badmin=(?<port>\d+)/;
const listening = /https?:\/\/(?<host>\[[^\]]+\]|[\w.-]+):(?<port>\d+)/;

function commandLine(
  { runtime, flags, switches = [], prefix = [], program = "src/main.ts" }: ServerOptions,
): readonly string[] {
  const run = runtime === "bun" ? ["bun"] : ["deno", "run", ...denoFlags];
  const settings = { host: "127.0.0.1", port: "0", "admin-port": "0", "worker-timeout": workerTimeout, ...flags };
  return [
    ...prefix,
    ...run,
    program,
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    ...switches.map((name) => `--${name}`),
  ];
}

/** A server in a process of its own, started from the repository's root. */
export class ServerProcess {
  readonly pid: number;
  readonly address: Address;
  readonly #child: ChildProcess;
  readonly #output: readonly string[];
  readonly #exit: Promise<number | string>;

  private constructor(
    child: ChildProcess,
    options: {
      readonly pid: number;
      readonly address: Address;
      readonly output: readonly string[];
      readonly exit: Promise<number | string>;
    },
  ) {
    this.#child = child;
    this.pid = options.pid;
    this.address = options.address;
    this.#output = options.output;
    this.#exit = options.exit;
  }

  /** Resolves when the start line with the address is printed. Throws with the output if the process ends before. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const { startTimeoutMs = defaultStartTimeoutMs } = options;
    const [command = "", ...args] = commandLine(options);
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    process.once("exit", () => child.kill("SIGKILL"));
    const output: string[] = [];
    const exit = new Promise<number | string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
    const address = await new Promise<Address>((resolve, reject) => {
      const fail = (reason: string) => reject(new Error(`start server: ${reason}: ${output.join("")}`));
      const timer = setTimeout(() => fail(`no address within ${startTimeoutMs} ms`), startTimeoutMs);
      const read = (chunk: Uint8Array) => {
        output.push(chunk.toString());
        const groups = listening.exec(output.join(""))?.groups;
        if (groups === undefined) return;
        clearTimeout(timer);
        resolve({ host: groups["host"] ?? "", port: Number(groups["port"]) });
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      exit.then((code) => fail(`ended with ${code}`), reject);
    });
    return new ServerProcess(child, { pid: child.pid ?? 0, address, output, exit });
  }

  /** All that the process has printed. */
  get output(): string {
    return this.#output.join("");
  }

  /** Where the admin port listens; throws if the start line names none. */
  get adminAddress(): Address {
    const port = adminPort.exec(this.output)?.groups?.["port"];
    if (port === undefined) throw new Error(`start line without an admin port: ${this.output}`);
    return { host: this.address.host, port: Number(port) };
  }

  /** Writes a line to the program's standard input. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Asks for a graceful stop and returns the exit code, or the name of the signal that ended the process. */
  async stop(): Promise<number | string> {
    this.#child.kill("SIGTERM");
    return await this.#exit;
  }

  /** Ends the process at once, as `kill -9` does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  /** Reads /proc. */
  memory(): ProcessMemory {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    const bytes = (field: string) => 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
    return { dataBytes: bytes("RssAnon") + bytes("RssShmem"), peakBytes: bytes("VmHWM") };
  }
}
