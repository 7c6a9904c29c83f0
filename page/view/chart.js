// @ts-check
import uPlot from "uplot";
import { make } from "./dom.js";
import { plotOptions, stackLines } from "./plot_options.js";

/** @typedef {import("./plot_options.js").ChartLook} ChartLook */
/** @typedef {import("../history.js").Lines} Lines */

/**
 * @typedef {object} ChartOptions
 * @property {ChartLook} look
 * @property {number} spanSeconds the time span of the chart
 * @property {Readonly<Record<string, number>>} colors of labels, 1 to 8; others take the next
 */

const height = 148;
const colorCount = 8;
const shortestSpanSeconds = 60;

/** @param {string} name */
const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {number} seconds */
const clockTime = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

/** A chart in a `<figure>`: the drawing, and a legend with the newest values, or those under the pointer. */
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
    // The legend has the same content as text.
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
    this.#show();
  }

  /** @returns {uPlot.AlignedData} */
  #data() {
    const { times, lines } = this.#shown;
    const values = Array.from(lines.values(), (line) => [...line]);
    return [[...times], ...(this.#options.look.kind === "stacked" ? stackLines(values) : values)];
  }

  /**
   * @param {string} label
   * @param {number} index
   */
  #colorOf(label, index) {
    return this.#options.colors[label] ?? index % colorCount + 1;
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
    const options = plotOptions(this.#options.look, {
      size: { width: this.#holder.clientWidth, height },
      lines: labels.map((label, index) => ({ label, color: cssColor(`--c${this.#colorOf(label, index)}`) })),
      range: () => this.#range(),
      onPointer: () => this.#show(),
    });
    this.#plot = new uPlot(options, this.#data(), this.#holder);
    this.#show();
  }

  /** Writes the legend's values. */
  #show() {
    const { times, lines } = this.#shown;
    const pointed = this.#plot?.cursor.idx;
    const index = pointed ?? times.length - 1;
    const time = times[index];
    this.#timeNote.textContent = pointed === null || pointed === undefined || time === undefined ? "" : clockTime(time);
    Array.from(lines.values()).forEach((line, position) => {
      const value = line[index] ?? undefined;
      const text = this.#legend.children[position]?.lastChild;
      if (text) text.textContent = value === undefined ? "–" : this.#options.look.format(value);
    });
  }

  /** The range of the time axis. At first it is as long as the history, so that the chart is not nearly empty. */
  #range() {
    const { times } = this.#shown;
    const newest = times.at(-1) ?? 0;
    const age = newest - (times[0] ?? newest);
    return { newest, span: Math.min(Math.max(age, shortestSpanSeconds), this.#options.spanSeconds) };
  }
}
