import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path/posix";

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

/** What the limit is found from. `readFile` returns undefined if there is no such file, or it cannot be read. */
export interface MemorySources {
  readonly readFile: (path: string) => string | undefined;
  readonly totalBytes: number;
}

/** A group and its parents: any of them may hold the limit. */
function lineage(group: string): readonly string[] {
  return group === "/" || group === "." ? ["/"] : [group, ...lineage(dirname(group))];
}

/**
 * Files that may hold this process's limit, of control groups version 2 and version 1. A container sees its own group
 * as the root.
 */
function limitFiles(ownGroups: string): readonly string[] {
  const [, unified = "/"] = /^0::(\/.*)$/m.exec(ownGroups) ?? [];
  const [, memory = "/"] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(ownGroups) ?? [];
  return [
    ...lineage(unified).map((group) => join("/sys/fs/cgroup", group, "memory.max")),
    ...lineage(memory).map((group) => join("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes")),
  ];
}

/**
 * The smallest limit in bytes that control groups set, or the machine's memory where there is none or it is smaller.
 */
export function findMemoryLimit({ readFile, totalBytes }: MemorySources): number {
  // "max" and "" are not limits; version 1 writes "no limit" as a number beyond any machine's memory.
  const limits = limitFiles(readFile("/proc/self/cgroup") ?? "").map((path) =>
    Number.parseInt(readFile(path) ?? "", 10)
  );
  return Math.min(totalBytes, ...limits.filter((limit) => limit > 0));
}

/** What the count is found from. `readFile` returns undefined if there is no such file, or it cannot be read. */
export interface CpuSources {
  readonly readFile: (path: string) => string | undefined;
  readonly cores: number;
}

/**
 * Cores this process may keep busy: the machine's, or the quota of its control group (version 2, 1) if that is less,
 * rounded up; at least 1.
 */
export function findCpuCount({ readFile, cores }: CpuSources): number {
  const [quota, period] = readFile("/sys/fs/cgroup/cpu.max")?.split(/\s/) ??
    [readFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), readFile("/sys/fs/cgroup/cpu/cpu.cfs_period_us")];
  // "max" and -1 are not quotas.
  const share = Number.parseInt(quota ?? "", 10) / Number.parseInt(period ?? "", 10);
  return share > 0 ? Math.max(1, Math.min(cores, Math.ceil(share))) : cores;
}

/**
 * Reads the files in which the system tells what a process may use, and remembers those that it was not allowed to
 * read: a fact in there is unknown, not absent.
 */
export class HostFiles {
  readonly #unreadable = new Map<string, string>();
  readonly #readText: (path: string) => string;

  /** `readText` throws where it cannot read (default: the file system). */
  constructor(readText: (path: string) => string = (path) => readFileSync(path, "utf8")) {
    this.#readText = readText;
  }

  /** The file's text; undefined if there is no such file, or it cannot be read. */
  readonly read = (path: string): string | undefined => {
    try {
      return this.#readText(path);
    } catch (error) {
      if (!isMissing(error)) this.#unreadable.set(path, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };

  /** The causes for which files could not be read, by path. */
  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
