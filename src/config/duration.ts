const msPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as people write it (`250ms`, `30s`, `1.5h`), rounded down; undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const factor = msPerUnit[unit];
  return amount === undefined || factor === undefined ? undefined : Math.floor(Number(amount) * factor);
}
