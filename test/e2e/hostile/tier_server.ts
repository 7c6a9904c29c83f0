import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import type { RuntimeName } from "../support/server_process.ts";
import { ServerProcess } from "../support/server_process.ts";

/** Clears everything. */
export const CLEAR = "/v1/objects?clear=all";

/** A server over one file tier, and what the cases about disks ask it. */
export class TierServer {
  readonly process: ServerProcess;
  readonly #client: Client;
  readonly #admin: Client;

  private constructor(process: ServerProcess) {
    const ledger = { record: () => {} };
    this.process = process;
    this.#client = new Client(process.address, ledger);
    this.#admin = new Client(process.adminAddress, ledger);
  }

  static async start(
    runtime: RuntimeName,
    { l2, flags = {} }: { readonly l2: string; readonly flags?: Readonly<Record<string, string>> },
  ): Promise<TierServer> {
    const all = { port: "0", "admin-port": "0", workers: "2", "l1-size": "16MiB", l2, ...flags };
    return new TierServer(await ServerProcess.start({ runtime, flags: all }));
  }

  /** Status of a PUT; durable unless told otherwise. */
  async put(
    key: string,
    body: Uint8Array,
    { durability = "l2", headers = {} }: {
      readonly durability?: "l1" | "l2";
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<number> {
    const path = objectPath(key);
    const answer = await this.#client.request({
      method: "PUT",
      path,
      headers: { "vitrine-durability": durability, ...headers },
      body,
    });
    return answer.status;
  }

  /** Status, body and Cache-Status of a GET. */
  async get(key: string): Promise<{ readonly status: number; readonly body: Uint8Array; readonly from: string }> {
    const { status, body, headers } = await this.#client.request({ method: "GET", path: objectPath(key) });
    return { status, body, from: headers.get("cache-status") ?? "" };
  }

  /** Status of a DELETE. */
  async delete(key: string): Promise<number> {
    return (await this.#client.request({ method: "DELETE", path: objectPath(key) })).status;
  }

  /** Any request; its status and text. */
  async ask(method: string, path: string): Promise<{ readonly status: number; readonly text: string }> {
    const { status, body } = await this.#client.request({ method, path });
    return { status, text: new TextDecoder().decode(body) };
  }

  /** Status of /readyz on the admin port. */
  async ready(): Promise<number> {
    return (await this.#admin.request({ method: "GET", path: "/readyz" })).status;
  }

  /** Status and text of /readyz on the admin port. */
  async readyText(): Promise<string> {
    const { status, body } = await this.#admin.request({ method: "GET", path: "/readyz" });
    return `${status} ${new TextDecoder().decode(body)}`;
  }

  /** The server's /status. */
  async status(): Promise<Status> {
    const { body } = await this.#admin.request({ method: "GET", path: "/status" });
    return JSON.parse(new TextDecoder().decode(body));
  }

  /** One metric's lines on /metrics that have all these words. */
  async metric(...words: readonly string[]): Promise<number> {
    const { body } = await this.#admin.request({ method: "GET", path: "/metrics" });
    return new TextDecoder().decode(body).split("\n")
      .filter((line) => !line.startsWith("#") && words.every((word) => line.includes(word)))
      .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  stop(): Promise<number | string> {
    this.#client.close();
    this.#admin.close();
    return this.process.stop();
  }
}

/** The part of /status that the cases read. */
export interface Status {
  readonly worker_restarts: number;
  readonly storage_thread?: { readonly state: string; readonly restarts: number };
  readonly file_thread?: { readonly state: string; readonly restarts: number };
  readonly storeQueue: { readonly entries: number };
  readonly l2: readonly { readonly objects?: number; readonly usedBytes?: number; readonly error?: string }[];
}

/** Runs `body` with a small file system of its own. Throws if it cannot be mounted. */
export async function withTmpfs(path: string, options: string, body: () => Promise<void>): Promise<void> {
  mkdirSync(path, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "vitrine-test", path]);
  try {
    await body();
  } finally {
    execFileSync("umount", ["-l", path]);
  }
}
