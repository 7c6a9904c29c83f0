import { SECOND_LEVELS } from "./layout.ts";

/** The list a free block of this length is kept in. */
export function classOf(granules: number): number {
  if (granules < SECOND_LEVELS) return granules;
  const power = 31 - Math.clz32(granules);
  return (power - 3) * SECOND_LEVELS + ((granules >>> (power - 4)) & 15);
}

/** The first list all of whose blocks are at least this long. */
export function classAbove(granules: number): number {
  if (granules < SECOND_LEVELS) return granules;
  const step = 1 << (27 - Math.clz32(granules));
  return classOf(granules + step - 1);
}

/** The place of the lowest bit that is set; -1 if none is. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
