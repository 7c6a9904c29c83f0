import { closeSync, openSync, readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path/posix";
import { causeText, VitrineError } from "../core/errors.ts";

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

/** Descriptors kept free of connections, for tiers and the admin port: a quarter of the limit, at most this many. */
const MAX_RESERVED = 256;

/** The limit of this process's file descriptors, and the part of it that connections may use. */
export class Descriptors {
  /** Undefined if the system does not reveal it. */
  readonly limit: number | undefined;
  /** True if a descriptor could be opened at the start. If that is not permitted, descriptors are never low. */
  readonly #canProbe = lowestFree() !== undefined;

  constructor(limit: number | undefined) {
    this.limit = limit;
  }

  /** The descriptors of this process. */
  static own(): Descriptors {
    return new Descriptors(descriptorLimitOf(readLimits()));
  }

  /** Number of connections that can still be opened; undefined if the limit is unknown. */
  room(): number | undefined {
    const free = lowestFree();
    return this.limit === undefined ? undefined : Math.max(0, this.limit - reserved(this.limit) - (free ?? this.limit));
  }

  /** True if only reserved descriptors are left. */
  areLow(): boolean {
    if (!this.#canProbe) return false;
    const free = lowestFree();
    return free === undefined || (this.limit !== undefined && free >= this.limit - reserved(this.limit));
  }
}

function reserved(limit: number): number {
  return Math.min(MAX_RESERVED, Math.floor(limit / 4));
}

/**
 * The lowest free descriptor, which the kernel hands out next: about the number of open ones. Undefined if none is
 * left.
 */
function lowestFree(): number | undefined {
  try {
    const descriptor = openSync("/dev/null", "r");
    closeSync(descriptor);
    return descriptor;
  } catch {
    return undefined;
  }
}

/** Parses the soft limit in the text of /proc/self/limits. */
export function descriptorLimitOf(limits: string): number | undefined {
  const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}

function readLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}

/** Prints a value on a line of its own: `console.log` or `console.error`. */
export type PrintLine = (value: unknown) => void;

/**
 * Prints a value and never throws. Deno's console throws if a disk is full or a pipe is closed; the line is then lost,
 * and the server goes on.
 */
export function print(line: PrintLine, value: unknown): void {
  try {
    line(value);
  } catch {
    // There is no place left to report it.
  }
}

/**
 * Prints an error that no response can report: a VitrineError as one line with its causes, any other with its stack.
 */
export function reportError(error: unknown, line: PrintLine = console.error): void {
  print(line, error instanceof VitrineError ? `vitrine: ${causeText(error)}` : error);
}

/** The bit of SIGHUP in the masks of /proc/self/status. */
const HANGUP = 1n;

/**
 * True if the process ignores SIGHUP, so that it survives the end of its terminal, as with `nohup`. `status` is the
 * text of /proc/self/status.
 */
export function ignoresHangup(status: string): boolean {
  const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return (BigInt(`0x${mask}`) & HANGUP) !== 0n;
}

/** `ignoresHangup` for this process; false if unknown. Call it before setting a handler for SIGHUP. */
export function hangupIsIgnored(): boolean {
  try {
    return ignoresHangup(readFileSync("/proc/self/status", "utf8"));
  } catch {
    return false;
  }
}
