import { SECOND_LEVELS } from "./layout.ts";

/** The free list for blocks of this length. */
export function classOf(granules: number): number {
  if (granules < SECOND_LEVELS) return granules;
  const power = 31 - Math.clz32(granules);
  return (power - 3) * SECOND_LEVELS + ((granules >>> (power - 4)) & 15);
}

/** The first free list in which all blocks are at least this long. */
export function classAbove(granules: number): number {
  if (granules < SECOND_LEVELS) return granules;
  const step = 1 << (27 - Math.clz32(granules));
  return classOf(granules + step - 1);
}

/** Index of the lowest set bit; -1 if no bit is set. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
