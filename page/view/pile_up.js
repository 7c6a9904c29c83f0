// @ts-check

/**
 * Each line with those below it added, as areas that lie on each other are drawn. Where a line has no value it is not
 * drawn, and those above it lie on what is below it.
 * @param {readonly (readonly (number | null)[])[]} lines
 * @returns {(number | null)[][]}
 */
export function pileUp(lines) {
  const sums = (lines[0] ?? []).map(() => 0);
  return lines.map((line) =>
    line.map((value, index) => {
      if (value === null) return null;
      const sum = (sums[index] ?? 0) + value;
      sums[index] = sum;
      return sum;
    })
  );
}
