import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { untilAnswers } from "./answers.ts";
import { freePorts } from "./free_ports.ts";
import { ToolProcess } from "./tool_process.ts";

/** The signals whose records a collector keeps in files. */
export type FiledSignal = "logs" | "traces";

/**
 * What must be changed in the stack's own configuration to run beside other things on one machine, and to look into
 * logs and traces.
 */
function overlay({ folder, ports }: { readonly folder: string; readonly ports: CollectorPorts }): string {
  const file = (signal: FiledSignal) => ({
    path: join(folder, `${signal}.jsonl`),
    append: true,
    flush_interval: "100ms",
  });
  // JSON is YAML.
  return JSON.stringify({
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${ports.otlp}` } } } },
    exporters: {
      prometheus: { endpoint: `127.0.0.1:${ports.metrics}` },
      "file/logs": file("logs"),
      "file/traces": file("traces"),
    },
    extensions: { health_check: { endpoint: `127.0.0.1:${ports.health}` } },
    service: {
      pipelines: { logs: { exporters: ["debug", "file/logs"] }, traces: { exporters: ["debug", "file/traces"] } },
    },
  });
}

interface CollectorPorts {
  readonly otlp: number;
  readonly metrics: number;
  readonly health: number;
}

/** A real OpenTelemetry Collector with the compose stack's configuration, on ports of its own. */
export class Collector {
  readonly #program: string;
  readonly #folder: string;
  readonly #ports: CollectorPorts;
  #process: ToolProcess;

  private constructor(program: string, folder: string, ports: CollectorPorts) {
    this.#program = program;
    this.#folder = folder;
    this.#ports = ports;
    this.#process = this.#spawn();
  }

  /** `folder`: an empty folder for its files. Resolves when it is healthy. */
  static async start(program: string, folder: string): Promise<Collector> {
    const [otlp = 0, metrics = 0, health = 0] = await freePorts(3);
    const ports = { otlp, metrics, health };
    writeFileSync(join(folder, "overlay.json"), overlay({ folder, ports }));
    const collector = new Collector(program, folder, ports);
    await collector.#untilHealthy();
    return collector;
  }

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get otlpUrl(): string {
    return `http://127.0.0.1:${this.#ports.otlp}`;
  }

  /** Where Prometheus scrapes it: host and port. */
  get scrapeTarget(): string {
    return `127.0.0.1:${this.#ports.metrics}`;
  }

  get process(): ToolProcess {
    return this.#process;
  }

  /** Starts a new one in the place of one that has ended; it remembers nothing. */
  async restart(): Promise<void> {
    this.#process = this.#spawn();
    await this.#untilHealthy();
  }

  /** What it has been pushed, in the Prometheus text format. */
  async metricsText(): Promise<string> {
    const response = await fetch(`http://${this.scrapeTarget}/metrics`);
    return await response.text();
  }

  /** The OTLP JSON lines it has written. */
  lines(signal: FiledSignal): readonly string[] {
    const path = join(this.#folder, `${signal}.jsonl`);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter((line) => line !== "") : [];
  }

  #spawn(): ToolProcess {
    const configs = ["deploy/collector/config.yaml", join(this.#folder, "overlay.json")];
    return new ToolProcess(this.#program, configs.map((path) => `--config=${path}`));
  }

  async #untilHealthy(): Promise<void> {
    await untilAnswers(`http://127.0.0.1:${this.#ports.health}/`, this.#process);
  }
}
