// @ts-check
import { byId, write } from "./dom.js";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatLatency,
  formatPercent,
  formatRate,
  formatThroughput,
} from "../format.js";

/** @typedef {import("../figures/figures.js").Figures} Figures */

/**
 * @param {number | undefined} value
 * @param {(value: number) => string} format
 */
const known = (value, format) => value === undefined ? "–" : format(value);

/**
 * Writes a number and its unit, which is smaller.
 * @param {string} id
 * @param {string} text
 */
function writeFigure(id, text) {
  const space = text.lastIndexOf(" ");
  write(`${id}-number`, space < 0 ? text : text.slice(0, space));
  write(`${id}-unit`, space < 0 ? "" : text.slice(space + 1));
}

/**
 * Shows the large figures.
 * @param {Figures} figures
 */
export function showTiles({ server, traffic, tiers, bus }) {
  const l1 = tiers.find(({ tier }) => tier === "l1");
  writeFigure("hit-rate", known(traffic.hitRate, formatPercent));
  write("hit-rate-note", `${formatCount(traffic.hits)} hits of ${formatCount(traffic.lookups)} lookups`);
  writeFigure("requests", `${formatRate(traffic.requestsPerSecond)} /s`);
  write("requests-note", `${formatCount(traffic.requests)} since the start`);
  writeFigure("throughput", formatThroughput(traffic.outPerSecond));
  write("throughput-note", `in ${formatThroughput(traffic.inPerSecond)}`);
  writeFigure("latency", known(traffic.p99, formatLatency));
  write("latency-note", `p50 ${known(traffic.p50, formatLatency)}`);
  writeFigure("l1", formatBytes(l1?.usedBytes ?? 0));
  write("l1-note", `of ${formatBytes(l1?.limitBytes ?? 0)} · ${formatCount(l1?.objects ?? 0)} objects`);
  const meter = byId("l1-meter", HTMLMeterElement);
  meter.max = l1?.limitBytes || 1;
  meter.value = l1?.usedBytes ?? 0;
  writeFigure("lost", formatCount(bus.lost));
  write("lost-note", bus.lost > 0 ? "the counters are too low by these" : "every event is counted");
  byId("tile-lost", HTMLElement).classList.toggle("alarm", bus.lost > 0);
  write("build", [`${server.version} on ${server.runtime}`, `up ${formatDuration(server.uptimeSeconds)}`].join(" · "));
  byId("hint", HTMLElement).hidden = traffic.lookups + traffic.bytesIn > 0;
}
