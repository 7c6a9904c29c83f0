import { readFileSync } from "node:fs";

/** Prints a value on a line of its own: `console.log` or `console.error`. */
export type PrintLine = (value: unknown) => void;

/**
 * Prints by it, and never throws: Deno's console does where a disk is full or a pipe is closed. Such a line is lost,
 * and the server goes on.
 */
export function print(line: PrintLine, value: unknown): void {
  try {
    line(value);
  } catch {
    // There is nowhere left to say so.
  }
}

/** SIGHUP's bit in the masks of /proc/self/status. */
const HANGUP = 1n;

/**
 * True if the process was started to survive the end of its terminal, as by `nohup`. `status`: the text of
 * /proc/self/status.
 */
export function ignoresHangup(status: string): boolean {
  const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return (BigInt(`0x${mask}`) & HANGUP) !== 0n;
}

/** `ignoresHangup` of this process; false where the system does not tell. To be asked before a handler is set. */
export function hangupIsIgnored(): boolean {
  try {
    return ignoresHangup(readFileSync("/proc/self/status", "utf8"));
  } catch {
    return false;
  }
}
