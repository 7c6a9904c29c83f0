import { readdirSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { parsePrometheusText } from "../../support/prometheus_text.ts";
import type { Checks } from "../support/checks.ts";
import { type RuntimeName, ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";

/** Statuses from 500 on that a server may mean: a limit, a tier, no room. */
const MEANT = new Set(["501", "503", "505", "507"]);
const MIB = 1024 * 1024;
/** Connections that the kernel or the runtime may still have when all clients are gone. */
const SPARE_DESCRIPTORS = 8;
/** What the first attack of a process may cost for good: buffers that are kept, code that is compiled. */
const SPARE_BYTES = 160 * MIB;

/** A server that is attacked, and what must be as before when the attack is over. */
export class AttackedServer {
  readonly process: ServerProcess;
  /** A token with scope admin, where the server has tokens. */
  token = "";
  readonly #descriptors: number;
  readonly #bytes: number;

  private constructor(process: ServerProcess) {
    this.process = process;
    this.#descriptors = descriptorsOf(process);
    this.#bytes = process.memory().dataBytes;
  }

  static async start(runtime: RuntimeName, flags: Readonly<Record<string, string>> = {}): Promise<AttackedServer> {
    return new AttackedServer(
      await ServerProcess.start({ runtime, flags: { l2: "none", "l1-size": "64MiB", workers: "2", ...flags } }),
    );
  }

  get url(): string {
    return `http://${this.process.address.host}:${this.process.address.port}`;
  }

  /** Checks that nothing is left of an attack whose clients are gone, and stops the server. */
  async checkUnharmed(name: string, checks: Checks): Promise<void> {
    const active = await until(() => this.sum("http_server_active_requests"), (count) => count <= 1, {
      timeoutMs: 20_000,
    });
    // The request for the metrics itself.
    checks.equal(`${name}: no request is left`, { actual: active, expected: 1 });
    const descriptors = await until(
      () => Promise.resolve(descriptorsOf(this.process)),
      (count) => count <= this.#descriptors + SPARE_DESCRIPTORS,
      { timeoutMs: 20_000 },
    );
    checks.that(
      `${name}: no descriptor is left`,
      descriptors <= this.#descriptors + SPARE_DESCRIPTORS,
      () => `${this.#descriptors} before, ${descriptors} after`,
    );
    // Garbage is collected in its own time.
    await wait(500);
    const bytes = this.process.memory().dataBytes;
    checks.that(
      `${name}: memory stays within its bound`,
      bytes <= this.#bytes + SPARE_BYTES,
      () => `${Math.round(this.#bytes / MIB)} MiB before, ${Math.round(bytes / MIB)} MiB after`,
    );
    checks.equal(`${name}: no status from 500 on that is not meant`, { actual: await this.#unmeant(), expected: [] });
    const { output } = this.process;
    checks.that(`${name}: no worker is replaced`, !output.includes("a worker is gone"), () => output.slice(-2000));
    checks.that(
      `${name}: nothing is logged as an error`,
      !output.includes('"level":"error"'),
      () => output.slice(-2000),
    );
    checks.equal(`${name}: the server stops gracefully`, { actual: await this.process.stop(), expected: 0 });
  }

  async #unmeant(): Promise<readonly string[]> {
    const samples = await this.#samples();
    return samples.filter(({ name, value }) => name === "http_server_request_duration_seconds_count" && value > 0)
      .map(({ labels }) => labels["http_response_status_code"] ?? "")
      .filter((status) => status >= "500" && !MEANT.has(status));
  }

  /** The sum of a metric over all series with these labels. */
  async sum(metric: string, wanted: Readonly<Record<string, string>> = {}): Promise<number> {
    const samples = await this.#samples();
    return samples.filter(({ name, labels }) =>
      name === metric && Object.entries(wanted).every(([label, value]) => labels[label] === value)
    ).reduce((sum, { value }) => sum + value, 0);
  }

  async #samples(): Promise<ReturnType<typeof parsePrometheusText>> {
    const { host, port } = this.process.adminAddress;
    const headers = this.token === "" ? {} : { authorization: `Bearer ${this.token}` };
    const response = await fetch(`http://${host}:${port}/metrics`, { headers });
    return parsePrometheusText(await response.text());
  }
}

function descriptorsOf({ pid }: ServerProcess): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
