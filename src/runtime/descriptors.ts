import { closeSync, openSync, readFileSync } from "node:fs";

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
    return new Descriptors(limitOf(readLimits()));
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
export function limitOf(limits: string): number | undefined {
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
