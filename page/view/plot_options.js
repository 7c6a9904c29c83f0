// @ts-check

/** @typedef {import("uplot").Axis} Axis */
/** @typedef {import("uplot").Options} PlotOptions */
/** @typedef {import("uplot").Scale} Scale */

/**
 * The marks of a time axis in seconds before now, oldest first: full minutes, or half minutes on a short axis.
 * @param {number} spanSeconds
 * @returns {readonly number[]}
 */
export function timeMarks(spanSeconds) {
  const step = spanSeconds < 150 ? 30 : 60;
  const count = Math.floor(spanSeconds / step) + 1;
  return Array.from({ length: count }, (_, index) => step * (count - 1 - index));
}

/**
 * The text of a mark.
 * @param {number} secondsAgo
 */
export function timeLabel(secondsAgo) {
  const seconds = Math.round(secondsAgo);
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `−${seconds / 60} min` : `−${seconds} s`;
}

/**
 * Adds to each line the lines below it, for stacked areas. Where a line has no value it is not drawn, and the lines
 * above it rest on the one below.
 * @param {readonly (readonly (number | null)[])[]} lines
 * @returns {(number | null)[][]}
 */
export function stackLines(lines) {
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

/**
 * The style of a chart.
 * @typedef {object} ChartLook
 * @property {(value: number) => string} format of values, with their unit
 * @property {(value: number) => string} [axisFormat] of the axis, where it differs
 * @property {"lines" | "stacked" | "log"} kind lines from zero; areas that add up; lines over powers of ten
 * @property {boolean} [binary] the axis counts in powers of two
 * @property {number} [top] the least that the scale reaches up to
 */

/**
 * The size, lines and range of a chart.
 * @typedef {object} Drawn
 * @property {{ readonly width: number, readonly height: number }} size CSS pixels
 * @property {readonly { readonly label: string, readonly color: string }[]} lines colours as #rrggbb
 * @property {() => { readonly newest: number, readonly span: number }} range seconds since the epoch, and seconds
 *   before
 * @property {() => void} onPointer called when the pointer moves over this chart or another
 */

const powersOfTwo = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** @param {string} name */
const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * @param {(value: number) => number} round
 * @param {number} value
 */
const powerOfTen = (round, value) => 10 ** round(Math.log10(value));

/** @param {number} value */
const isPowerOfTen = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

/** @returns {Axis} */
function axisStyle() {
  return {
    stroke: cssColor("--muted"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: cssColor("--grid"), width: 1 },
    ticks: { show: false },
  };
}

/**
 * @param {Drawn["range"]} range
 * @returns {Axis}
 */
function timeAxis(range) {
  return {
    ...axisStyle(),
    size: 26,
    gap: 7,
    splits: () => timeMarks(range().span).map((secondsAgo) => range().newest - secondsAgo),
    values: (_plot, splits) => splits.map((time) => timeLabel(range().newest - time)),
  };
}

/**
 * @param {ChartLook} look
 * @returns {Axis}
 */
function valueAxis({ format, axisFormat = format, kind, binary = false }) {
  const style = { ...axisStyle(), size: 64, gap: 4, space: 30, ...(binary ? { incrs: powersOfTwo } : {}) };
  if (kind !== "log") return { ...style, values: (_plot, splits) => splits.map(axisFormat) };
  return {
    ...style,
    values: (_plot, splits) => splits.map((value) => isPowerOfTen(value) ? axisFormat(value) : ""),
    grid: { ...style.grid, filter: (_plot, splits) => splits.map((value) => isPowerOfTen(value) ? value : null) },
  };
}

/**
 * @param {ChartLook} look
 * @returns {Scale}
 */
function valueScale({ kind, top = 0 }) {
  if (kind !== "log") return { range: (_plot, _min, max) => [0, Math.max(max ?? 0, top) * 1.05 || 1] };
  return {
    distr: 3,
    range: (_plot, min, max) => [powerOfTen(Math.floor, min ?? 0.001), powerOfTen(Math.ceil, max ?? 0.1)],
  };
}

/**
 * The options of uPlot for a chart.
 * @param {ChartLook} look
 * @param {Drawn} drawn
 * @returns {PlotOptions}
 */
export function plotOptions(look, { size, lines, range, onPointer }) {
  const isStacked = look.kind === "stacked";
  const points = { show: false };
  return {
    ...size,
    padding: [8, 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "time" }, points: { size: 6 } },
    scales: {
      x: { time: false, range: () => [range().newest - range().span, range().newest] },
      y: valueScale(look),
    },
    axes: [timeAxis(range), valueAxis(look)],
    series: [
      {},
      ...lines.map(({ label, color }) => {
        // The outline of an empty area would hide the area below it.
        if (isStacked) return { label, points, width: 0, fill: `${color}c0` };
        return { label, points, width: 1.75, stroke: color, ...(lines.length === 1 ? { fill: `${color}2e` } : {}) };
      }),
    ],
    // Each area reaches down to the one below it, the first down to zero.
    bands: isStacked ? lines.slice(1).map((_, index) => ({ series: [index + 2, index + 1] })) : [],
    hooks: { setCursor: [onPointer] },
  };
}
