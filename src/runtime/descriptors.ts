import { closeSync, openSync, readFileSync } from "node:fs";

/**
 * Descriptors that connections may not take, so that tiers and the admin port find some: a quarter, at most this many.
 */
const MOST_RESERVED = 256;

/** The limit of this process's descriptors, and the part of it that connections may take. */
export class Descriptors {
  /** Undefined where the system does not tell. */
  readonly limit: number | undefined;
  /** True if a descriptor could be opened at the start; where that is not permitted, descriptors are never low. */
  readonly #canLook = lowestFree() !== undefined;

  constructor(limit: number | undefined) {
    this.limit = limit;
  }

  /** Those of this process. */
  static own(): Descriptors {
    return new Descriptors(limitOf(readLimits()));
  }

  /** The number of connections that fit beside the open descriptors. */
  room(): number | undefined {
    const free = lowestFree();
    return this.limit === undefined ? undefined : Math.max(0, this.limit - reserved(this.limit) - (free ?? this.limit));
  }

  /** True if the free descriptors are reserved for others than connections. */
  areLow(): boolean {
    if (!this.#canLook) return false;
    const free = lowestFree();
    return free === undefined || (this.limit !== undefined && free >= this.limit - reserved(this.limit));
  }
}

function reserved(limit: number): number {
  return Math.min(MOST_RESERVED, Math.floor(limit / 4));
}

/** The kernel gives the lowest free number, so nearly as many are open as it says. Undefined: none is left. */
function lowestFree(): number | undefined {
  try {
    const descriptor = openSync("/dev/null", "r");
    closeSync(descriptor);
    return descriptor;
  } catch {
    return undefined;
  }
}

/** The soft limit in /proc/self/limits. */
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
