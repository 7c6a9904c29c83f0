// @ts-check
import uPlot from "uplot";
import { make } from "./dom.js";

/** @typedef {import("../history.js").Lines} Lines */

/**
 * @typedef {object} ChartOptions
 * @property {(value: number) => string} format of values, with their unit
 * @property {(value: number) => string} [axisFormat] of the axis, where it differs
 * @property {"lines" | "stacked" | "log"} kind lines from zero; areas that add up; lines over powers of ten
 * @property {boolean} [binary] the axis counts in powers of two
 * @property {number} [top] the least that the scale reaches up to
 * @property {number} spanSeconds how much time is shown
 * @property {Readonly<Record<string, number>>} [colors] of labels, 1 to 8; others take the next
 */

const height = 148;
const colorCount = 8;
const shortestSpanSeconds = 60;
const powersOfTwo = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** @param {string} name */
const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {number} seconds */
const clockTime = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

/**
 * Each line with those below it added.
 * @param {readonly (readonly (number | null)[])[]} lines
 */
function pileUp(lines) {
  /** @type {(number | null)[][]} */
  const sums = [];
  for (const line of lines) {
    const below = sums.at(-1);
    sums.push(line.map((value, index) => value === null ? null : value + (below?.[index] ?? 0)));
  }
  return sums;
}

/** One chart in a `<figure>`: the drawing, and a legend with the values of now, or of the time under the pointer. */
export class Chart {
  #options;
  #holder;
  #legend;
  #timeNote;
  /** @type {uPlot | undefined} */
  #plot;
  /** @type {Lines} */
  #shown = { times: [], lines: new Map() };
  #labels = "";

  /**
   * @param {HTMLElement} figure
   * @param {ChartOptions} options
   */
  constructor(figure, options) {
    this.#options = options;
    this.#holder = make("div", { class: "plot" });
    // The legend says the same in words.
    this.#holder.setAttribute("aria-hidden", "true");
    this.#legend = make("ul", { class: "legend" });
    this.#timeNote = make("span", { class: "time" });
    figure.querySelector("figcaption")?.append(this.#timeNote);
    figure.append(this.#holder, this.#legend);
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#holder.clientWidth, height })).observe(this.#holder);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild());
  }

  /** @param {Lines} lines */
  draw(lines) {
    this.#shown = lines;
    const labels = JSON.stringify(Array.from(lines.lines.keys()));
    if (this.#plot === undefined || labels !== this.#labels) {
      this.#labels = labels;
      this.#rebuild();
    } else this.#plot.setData(this.#data());
    this.#tell();
  }

  /** @returns {uPlot.AlignedData} */
  #data() {
    const { times, lines } = this.#shown;
    const values = Array.from(lines.values(), (line) => [...line]);
    return [[...times], ...(this.#options.kind === "stacked" ? pileUp(values) : values)];
  }

  /**
   * @param {string} label
   * @param {number} index
   */
  #colorOf(label, index) {
    return (this.#options.colors?.[label] ?? index % colorCount + 1);
  }

  #rebuild() {
    this.#plot?.destroy();
    const labels = Array.from(this.#shown.lines.keys());
    this.#legend.replaceChildren(...labels.map((label, index) =>
      make(
        "li",
        {},
        make("span", { class: `swatch c${this.#colorOf(label, index)}` }),
        make("span", { class: "name" }, label),
        make("b", {}),
      )
    ));
    this.#plot = new uPlot(this.#plotOptions(labels), this.#data(), this.#holder);
    this.#tell();
  }

  /** Writes the legend's values. */
  #tell() {
    const { times, lines } = this.#shown;
    const pointed = this.#plot?.cursor.idx;
    const index = pointed ?? times.length - 1;
    const time = times[index];
    this.#timeNote.textContent = pointed === null || pointed === undefined || time === undefined ? "" : clockTime(time);
    Array.from(lines.values()).forEach((line, position) => {
      const value = line[index] ?? undefined;
      const text = this.#legend.children[position]?.lastChild;
      if (text) text.textContent = value === undefined ? "–" : this.#options.format(value);
    });
  }

  /** The seconds that are shown: as many as there are at first, so that a page just opened is not nearly empty. */
  #span() {
    const { times } = this.#shown;
    const age = (times.at(-1) ?? 0) - (times[0] ?? 0);
    return Math.min(Math.max(age, shortestSpanSeconds), this.#options.spanSeconds);
  }

  /**
   * @param {readonly string[]} labels
   * @returns {uPlot.Options}
   */
  #plotOptions(labels) {
    const { format, axisFormat = format, kind, binary = false, top = 0 } = this.#options;
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const grid = { stroke: cssColor("--grid"), width: 1 };
    const axis = {
      stroke: cssColor("--muted"),
      font,
      grid,
      ticks: { show: false },
    };
    const newest = () => this.#shown.times.at(-1) ?? 0;
    const isStacked = kind === "stacked";
    return {
      width: this.#holder.clientWidth,
      height,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "time" }, points: { size: 6 } },
      scales: {
        x: { time: false, range: () => [newest() - this.#span(), newest()] },
        y: kind === "log"
          ? {
            distr: 3,
            range: (_plot, min, max) => [powerOfTen(Math.floor, min ?? 0.001), powerOfTen(Math.ceil, max ?? 0.1)],
          }
          : { range: (_plot, _min, max) => [0, Math.max(max ?? 0, top) * 1.05 || 1] },
      },
      axes: [
        {
          ...axis,
          size: 26,
          gap: 7,
          splits: () => timeSplits(newest(), this.#span()),
          values: (_plot, splits) => splits.map((time) => offsetLabel(time - newest())),
        },
        {
          ...axis,
          size: 64,
          gap: 4,
          space: 30,
          values: (_plot, splits) =>
            splits.map((value) => kind === "log" && !isPowerOfTen(value) ? "" : axisFormat(value)),
          ...(binary ? { incrs: powersOfTwo } : {}),
          ...(kind === "log"
            ? {
              grid: { ...grid, filter: (_plot, splits) => splits.map((value) => isPowerOfTen(value) ? value : null) },
            }
            : {}),
        },
      ],
      series: [
        {},
        ...labels.map((label, index) => {
          const color = cssColor(`--c${this.#colorOf(label, index)}`);
          // The outline of an area of nothing would hide the one below it.
          if (isStacked) return { label, width: 0, fill: `${color}c0`, points: { show: false } };
          return {
            label,
            stroke: color,
            width: 1.75,
            points: { show: false },
            ...(labels.length === 1 ? { fill: `${color}2e` } : {}),
          };
        }),
      ],
      // Each area reaches down to the one below it, the first down to zero.
      bands: isStacked ? labels.slice(1).map((_, index) => ({ series: [index + 2, index + 1] })) : [],
      hooks: { setCursor: [() => this.#tell()] },
    };
  }
}

/**
 * @param {(value: number) => number} round
 * @param {number} value
 */
const powerOfTen = (round, value) => 10 ** round(Math.log10(value));

/** @param {number} value */
const isPowerOfTen = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

/**
 * Full minutes before now, or half ones as long as there are few.
 * @param {number} newest
 * @param {number} span seconds
 */
function timeSplits(newest, span) {
  const step = span < 150 ? 30 : 60;
  const count = Math.floor(span / step) + 1;
  return Array.from({ length: count }, (_, index) => newest - step * (count - 1 - index));
}

/** @param {number} offset seconds, zero or less */
function offsetLabel(offset) {
  const seconds = Math.round(-offset);
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `−${seconds / 60} min` : `−${seconds} s`;
}
