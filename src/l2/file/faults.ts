import { errorCode } from "./disk.ts";

/**
 * What an error of SQLite or of the file system means for those who want to go on. SQLite's errors have only their
 * words in common on both runtimes.
 */
export type Fault = "busy" | "full" | "broken" | "other";

const SQLITE_WORDS: readonly (readonly [string, Fault])[] = [
  ["database is locked", "busy"],
  ["database table is locked", "busy"],
  ["database schema is locked", "busy"],
  ["locking protocol", "busy"],
  ["database or disk is full", "full"],
  ["disk I/O error", "broken"],
  ["database disk image is malformed", "broken"],
  ["malformed database schema", "broken"],
  ["file is not a database", "broken"],
  ["unable to open database file", "broken"],
  ["no such table", "broken"],
];

/**
 * Tells errors apart: `busy` passes by itself, `full` with room, `broken` only with another connection to the index.
 */
export function faultOf(error: unknown): Fault {
  const code = errorCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") return "full";
  if (code !== "ERR_SQLITE_ERROR" || !(error instanceof Error)) return "other";
  const { message } = error;
  return SQLITE_WORDS.find(([words]) => message.includes(words))?.[1] ?? "other";
}
