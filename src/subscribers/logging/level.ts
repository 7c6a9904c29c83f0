/** How grave a line is, the gravest first. */
export const LEVELS = ["error", "warn", "info", "debug"] as const;

/** How grave a line is. */
export type Level = (typeof LEVELS)[number];

/** Whether a line of this level is written where lines of `limit` and graver ones are. */
export function isWritten(level: Level, limit: Level): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(limit);
}
