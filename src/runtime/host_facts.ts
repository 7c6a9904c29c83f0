import { availableParallelism, totalmem } from "node:os";
import { findCpuCount } from "./cpu_count.ts";
import { HostFiles } from "./host_files.ts";
import { findMemoryLimit } from "./memory_limit.ts";

/** The resources that the system lets this process use. */
export interface HostFacts {
  readonly memoryLimitBytes: number;
  readonly cpuCount: number;
  /** Assumptions that stand in for files that cannot be read; empty if all can. */
  readonly assumptions: readonly string[];
}

/** Looks at the control groups and the cores. */
export function hostFacts(files: HostFiles = new HostFiles()): HostFacts {
  const assumptions: string[] = [];
  const ask = <T>(assumption: string, look: () => T): T => {
    const before = files.unreadable.size;
    const fact = look();
    if (files.unreadable.size > before) assumptions.push(assumption);
    return fact;
  };
  const memoryLimitBytes = ask(
    "no memory limit",
    () => findMemoryLimit({ readFile: files.read, totalBytes: totalmem() }),
  );
  const cpuCount = ask("no CPU quota", () => findCpuCount({ readFile: files.read, cores: availableParallelism() }));
  return { memoryLimitBytes, cpuCount, assumptions };
}

/** The part of the start line about assumptions; "" if there are none. */
export function assumedText(assumptions: readonly string[]): string {
  if (assumptions.length === 0) return "";
  return ` assumed="${assumptions.join(", ")}" (/proc and /sys cannot be read; on Deno they need --allow-all)`;
}
