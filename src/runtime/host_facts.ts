import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path/posix";

/** The resources that this process may use. */
export interface HostFacts {
  readonly memoryLimitBytes: number;
  readonly cpuCount: number;
  /** The assumptions made because files could not be read. */
  readonly assumptions: readonly string[];
}

/** Reads the limits of the control groups and of the machine. */
export function hostFacts(files: HostFiles = new HostFiles()): HostFacts {
  const assumptions: string[] = [];
  const find = <T>(assumption: string, read: () => T): T => {
    const before = files.unreadable.size;
    const fact = read();
    if (files.unreadable.size > before) assumptions.push(assumption);
    return fact;
  };
  const memoryLimitBytes = find(
    "no memory limit",
    () => findMemoryLimit({ readFile: files.read, totalBytes: totalmem() }),
  );
  const cpuCount = find("no CPU quota", () => findCpuCount({ readFile: files.read, cores: availableParallelism() }));
  return { memoryLimitBytes, cpuCount, assumptions };
}

/** The part of the start line that lists the assumptions; "" if there are none. */
export function assumedText(assumptions: readonly string[]): string {
  if (assumptions.length === 0) return "";
  return ` assumed="${assumptions.join(", ")}" (/proc and /sys cannot be read; on Deno they need --allow-all)`;
}

/** Sources of the memory limit. `readFile` returns undefined if a file does not exist or cannot be read. */
interface MemorySources {
  readonly readFile: (path: string) => string | undefined;
  readonly totalBytes: number;
}

/** A control group and its parents, any of which may set the limit. */
function lineage(group: string): readonly string[] {
  return group === "/" || group === "." ? ["/"] : [group, ...lineage(dirname(group))];
}

/**
 * The files that may contain this process's limit, for control groups version 2 and version 1. A container sees its own
 * group as the root.
 */
function limitFiles(ownGroups: string): readonly string[] {
  const [, unified = "/"] = /^0::(\/.*)$/m.exec(ownGroups) ?? [];
  const [, memory = "/"] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(ownGroups) ?? [];
  return [
    ...lineage(unified).map((group) => join("/sys/fs/cgroup", group, "memory.max")),
    ...lineage(memory).map((group) => join("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes")),
  ];
}

/** The smallest memory limit of the control groups in bytes, at most the machine's memory. */
export function findMemoryLimit({ readFile, totalBytes }: MemorySources): number {
  // "max" and "" mean no limit; version 1 uses a number beyond any machine's memory for that.
  const limits = limitFiles(readFile("/proc/self/cgroup") ?? "").map((path) =>
    Number.parseInt(readFile(path) ?? "", 10)
  );
  return Math.min(totalBytes, ...limits.filter((limit) => limit > 0));
}

/** Sources of the CPU count. `readFile` returns undefined if a file does not exist or cannot be read. */
interface CpuSources {
  readonly readFile: (path: string) => string | undefined;
  readonly cores: number;
}

/**
 * The number of cores this process may use: the machine's, or the quota of its control group (version 2 or 1), rounded
 * up, if that is less; at least 1.
 */
export function findCpuCount({ readFile, cores }: CpuSources): number {
  const [quota, period] = readFile("/sys/fs/cgroup/cpu.max")?.split(/\s/) ??
    [readFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), readFile("/sys/fs/cgroup/cpu/cpu.cfs_period_us")];
  // "max" and -1 mean no quota.
  const share = Number.parseInt(quota ?? "", 10) / Number.parseInt(period ?? "", 10);
  return share > 0 ? Math.max(1, Math.min(cores, Math.ceil(share))) : cores;
}

/**
 * Reads the system's files about limits, and records those that exist but cannot be read: what they say is unknown, not
 * absent.
 */
export class HostFiles {
  readonly #unreadable = new Map<string, string>();
  readonly #readText: (path: string) => string;

  /** `readText` throws if it cannot read a file (default: from the file system). */
  constructor(readText: (path: string) => string = (path) => readFileSync(path, "utf8")) {
    this.#readText = readText;
  }

  /** The text of a file; undefined if it does not exist or cannot be read. */
  readonly read = (path: string): string | undefined => {
    try {
      return this.#readText(path);
    } catch (error) {
      if (!isMissing(error)) this.#unreadable.set(path, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };

  /** The reasons why files could not be read, by path. */
  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
