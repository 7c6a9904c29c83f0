import { dirname, join } from "node:path/posix";

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
