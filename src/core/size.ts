/** Units that sizes are formatted with. */
const BINARY_UNITS = [["TiB", 1024 ** 4], ["GiB", 1024 ** 3], ["MiB", 1024 ** 2], ["KiB", 1024]] as const;
/** A number, the power, and its base: with an i it is 1024 (IEC 80000-13), without 1000 (SI). */
const SIZE = /^(\d+(?:\.\d+)?)(?:([kmgt])(i?))?b?$/i;

/**
 * Parses a size to bytes, rounded down; undefined if it is none. `1GiB` and `1Gi` are 1024³ bytes, `1GB` and `1G` are
 * 1000³; the case of the letters does not matter.
 */
export function parseSize(text: string): number | undefined {
  const [, amount, power, binary] = SIZE.exec(text) ?? [];
  if (amount === undefined) return undefined;
  const exponent = power === undefined ? 0 : "kmgt".indexOf(power.toLowerCase()) + 1;
  const factor = (binary === "" ? 1000 : 1024) ** exponent;
  const bytes = Math.floor(Number(amount) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Formats bytes for `parseSize`, in the largest binary unit that divides them. */
export function formatSize(bytes: number): string {
  const [unit, factor] = BINARY_UNITS.find(([, each]) => bytes >= each && bytes % each === 0) ?? ["B", 1];
  return `${bytes / factor}${unit}`;
}
