const bytesPerUnit: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Parses a size (`1024`, `256MiB`, `1.5GiB`) to bytes, rounded down; undefined if it is none. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(bytesPerUnit, unit) ? bytesPerUnit[unit] : undefined;
  if (amount === undefined || factor === undefined) return undefined;
  const bytes = Math.floor(Number(amount) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Formats bytes for `parseSize`, in the largest unit that divides them. */
export function formatSize(bytes: number): string {
  const [unit, factor] = Object.entries(bytesPerUnit).findLast(([, each]) => bytes >= each && bytes % each === 0) ??
    ["", 1];
  return unit === "B" || unit === "" ? `${bytes}B` : `${bytes / factor}${unit}`;
}
