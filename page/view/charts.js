// @ts-check
import { Chart } from "./chart.js";
import { byId } from "./dom.js";
import { formatBytes, formatLatency, formatPercent, formatRate, formatThroughput } from "../format.js";
import { History } from "../history.js";

/** @typedef {import("./plot_options.js").ChartLook} ChartLook */
/** @typedef {import("../figures/figures.js").Figures} Figures */

/**
 * @typedef {object} Panel
 * @property {string} id of its figure
 * @property {ChartLook} look
 * @property {Readonly<Record<string, number>>} [colors] fixed colours of labels
 * @property {(figures: Figures) => ReadonlyMap<string, number | undefined>} values
 */

/** @param {number} value */
const perSecond = (value) => `${formatRate(value)} /s`;

/** @param {number | undefined} bytes */
const unlessZero = (bytes) => bytes === 0 ? undefined : bytes;

/** Fixed colours: a reason has the same one whichever occurs first. */
const reasonColors = {
  "L1 watermark": 1,
  "L1 pressure": 2,
  "L1 quota": 8,
  "L1 expired": 7,
  "L1 deleted": 3,
  "L1 cleared": 3,
  "L1 replaced": 5,
  "L1 temporary": 6,
  "L2 capacity": 2,
  "L2 expired": 7,
  "L2 deleted": 6,
  "L2 cleared": 6,
  "L2 replaced": 5,
  "L2 corrupt": 4,
};

/** @type {readonly Panel[]} */
const panels = [
  {
    id: "chart-hit-rate",
    look: {
      format: formatPercent,
      axisFormat: (share) => `${Math.round(share * 100)} %`,
      kind: "stacked",
      top: 1,
    },
    colors: { l1: 1 },
    values: ({ traffic }) => traffic.hitRates,
  },
  {
    id: "chart-requests",
    look: { format: perSecond, kind: "stacked" },
    colors: { "2xx": 1, "3xx": 2, "4xx": 3, "5xx": 4 },
    values: ({ traffic }) => traffic.requestsByClass,
  },
  {
    id: "chart-throughput",
    look: { format: formatThroughput, kind: "lines" },
    values: ({ traffic }) => new Map([["out", traffic.outPerSecond], ["in", traffic.inPerSecond]]),
  },
  {
    id: "chart-latency",
    look: { format: formatLatency, kind: "log" },
    colors: { p50: 1, p90: 2, p99: 3 },
    values: ({ traffic: { p50, p90, p99 } }) => new Map([["p50", p50], ["p90", p90], ["p99", p99]]),
  },
  {
    id: "chart-l1",
    look: { format: formatBytes, kind: "lines", binary: true },
    colors: { used: 1, staging: 3, limit: 6 },
    values: ({ tiers, server }) => {
      const l1 = tiers.find(({ tier }) => tier === "l1");
      return new Map([
        ["used", l1?.usedBytes],
        ["staging", server.stagingBytes],
        ["limit", unlessZero(l1?.limitBytes)],
      ]);
    },
  },
  {
    id: "chart-l2",
    look: { format: formatBytes, kind: "lines", binary: true },
    values: ({ tiers }) =>
      new Map(tiers.filter(({ tier }) => tier !== "l1").map((each) => [each.tier, each.usedBytes])),
  },
  {
    id: "chart-removals",
    look: { format: perSecond, kind: "stacked" },
    colors: reasonColors,
    values: ({ removals }) =>
      new Map(
        removals.filter(({ objects }) => objects > 0)
          .map(({ level, reason, perSecond }) => [`${level} ${reason}`, perSecond]),
      ),
  },
  {
    id: "chart-bus",
    look: { format: perSecond, kind: "lines" },
    colors: { published: 6, "rolled up": 1, delivered: 2 },
    values: ({ bus }) =>
      new Map([
        ["published", bus.publishedPerSecond],
        ["rolled up", bus.rolledUpPerSecond],
        ["delivered", bus.deliveredPerSecond],
      ]),
  },
];

/** The charts of the page with their history. */
export class Charts {
  #shown;

  /** @param {{ readonly spanSeconds: number, readonly gapSeconds: number }} options */
  constructor({ spanSeconds, gapSeconds }) {
    this.#shown = panels.map(({ id, look, colors = {}, values }) => ({
      values,
      history: new History({ keepSeconds: spanSeconds, gapSeconds }),
      chart: new Chart(byId(id, HTMLElement), { look, colors, spanSeconds }),
    }));
  }

  /**
   * @param {number} time seconds since the epoch
   * @param {Figures} figures
   */
  add(time, figures) {
    for (const { values, history, chart } of this.#shown) {
      history.add(time, values(figures));
      chart.draw(history.lines);
    }
  }
}
