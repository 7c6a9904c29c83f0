// @ts-check
import { Scrape } from "./scrape.js";

/** @typedef {import("./scrape.js").Sample} Sample */

const sampleLine = /^(?<id>(?<name>[a-zA-Z_:][\w:]*)(?:\{(?<labels>.*)\})?) (?<value>\S+)(?: -?\d+)?$/s;
const labelPair = /(?<name>[a-zA-Z_]\w*)="(?<value>(?:[^"\\]|\\.)*)"(?:,|$)/gsy;
const escapes = new Map([["\\n", "\n"], ['\\"', '"'], ["\\\\", "\\"]]);

/** @param {string} text */
function parseLabels(text) {
  /** @type {Record<string, string>} */
  const labels = {};
  let end = 0;
  for (const match of text.matchAll(labelPair)) {
    const { name = "", value = "" } = match.groups ?? {};
    labels[name] = value.includes("\\") ? value.replaceAll(/\\./gs, (pair) => escapes.get(pair) ?? pair) : value;
    end = match.index + match[0].length;
  }
  if (end !== text.length) throw new Error(`parse metrics: bad labels: ${text}`);
  return labels;
}

/** @param {string} text */
function parseValue(text) {
  const value = Number(text.replace("Inf", "Infinity"));
  if (Number.isNaN(value) && text !== "NaN") throw new Error(`parse metrics: not a number: ${text}`);
  return value;
}

/**
 * Reads Prometheus' text format 0.0.4. Throws on a line that is neither a sample nor a comment nor empty.
 * @param {string} text
 * @returns {Scrape}
 */
export function parseMetrics(text) {
  /** @type {Map<string, Sample[]>} */
  const samples = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const groups = sampleLine.exec(line)?.groups;
    if (groups === undefined) throw new Error(`parse metrics: bad line: ${line}`);
    const { id = "", name = "", labels = "", value = "" } = groups;
    const sample = { id, labels: parseLabels(labels), value: parseValue(value) };
    const named = samples.get(name);
    if (named === undefined) samples.set(name, [sample]);
    else named.push(sample);
  }
  return new Scrape(samples);
}
