import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import type { ProcessSource } from "../process.ts";

/** This process. */
export const thisProcess: ProcessSource = {
  cpuUsage: () => process.cpuUsage(),
  residentBytes: () => process.memoryUsage.rss(),
  nowMs: () => performance.now(),
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
