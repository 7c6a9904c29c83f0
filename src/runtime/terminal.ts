import { readFileSync } from "node:fs";

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
