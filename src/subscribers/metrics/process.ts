import type { Subscriber } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** Where the process's numbers come from. */
export interface ProcessSource {
  /** Microseconds of processor time since the process began. */
  cpuUsage(): { readonly user: number; readonly system: number };
  /** Bytes. */
  residentBytes(): number;
  /** Milliseconds, never stepping back. */
  nowMs(): number;
  /** Calls `run` again and again without holding the process; returns what ends that. */
  every(intervalMs: number, run: () => void): () => void;
}

const INTERVAL_MS = 200;

/** Shows what the process uses, and how late its event loop is. */
export class ProcessMetrics implements Subscriber {
  readonly name = "metrics.process";
  readonly subscriptions = {};
  readonly #stop: () => void;

  constructor(instruments: Instruments, source: ProcessSource) {
    const startMs = source.nowMs();
    instruments.observedCounter("process_cpu_time_seconds_total").addCallback((result) => {
      const { user, system } = source.cpuUsage();
      result.observe(user / 1e6, { cpu_mode: "user" });
      result.observe(system / 1e6, { cpu_mode: "system" });
    });
    instruments.gauge("process_memory_usage_bytes").addCallback((result) => result.observe(source.residentBytes()));
    instruments.gauge("process_uptime_seconds").addCallback((result) =>
      result.observe((source.nowMs() - startMs) / 1000)
    );
    const delay = instruments.histogram("vitrine_eventloop_delay_seconds");
    let lastMs = startMs;
    this.#stop = source.every(INTERVAL_MS, () => {
      const nowMs = source.nowMs();
      delay.record(Math.max(0, nowMs - lastMs - INTERVAL_MS) / 1000, { count: 1, attributes: {} });
      lastMs = nowMs;
    });
  }

  shutdown(): void {
    this.#stop();
  }
}
