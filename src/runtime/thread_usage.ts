import { readFileSync, readlinkSync } from "node:fs";

/** The system's account of a thread of this process. */
export interface ThreadUsage {
  /** Tells it from an earlier thread with the same number. */
  readonly startedAt: number;
  /** It runs, or would if it were given a core. If not, it waits for something. */
  readonly isRunnable: boolean;
  /** Time it has had on a core, in steps of 10 ms. */
  readonly cpuMs: number;
}

/** The kernel tells times in hundredths of a second, whatever its own tick. */
const MS_PER_TICK = 10;

/** The system's number of the calling thread; 0 where /proc does not tell. */
export function ownThreadId(): number {
  try {
    return Number(/\/task\/(\d+)$/.exec(readlinkSync("/proc/thread-self"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * Looks at a thread by its number from `ownThreadId`. "ended": there is none any more. Undefined where /proc does not
 * tell.
 */
export function threadUsage(id: number): ThreadUsage | "ended" | undefined {
  if (id === 0) return undefined;
  try {
    return parseThreadStat(readFileSync(`/proc/self/task/${id}/stat`, "utf8"));
  } catch (error) {
    // ESRCH: it ended between the opening and the reading.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOENT" || code === "ESRCH" ? "ended" : undefined;
  }
}

/** Of one line as in proc(5), /proc/PID/stat. A thread that has ended and is not yet cleared away counts as ended. */
export function parseThreadStat(line: string): ThreadUsage | "ended" | undefined {
  // The second field is the thread's name in parentheses, which may hold anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).trimEnd().split(" ");
  const state = fields[0] ?? "";
  const [userTicks = NaN, systemTicks = NaN, startedAt = NaN] = [fields[11], fields[12], fields[19]].map(Number);
  if (Number.isNaN(userTicks + systemTicks + startedAt)) return undefined;
  if (state === "Z" || state === "X") return "ended";
  return { startedAt, isRunnable: state === "R", cpuMs: (userTicks + systemTicks) * MS_PER_TICK };
}
