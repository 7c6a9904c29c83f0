// @ts-check

/**
 * One series at one time; `id` is the series as the text writes it.
 * @typedef {{ readonly id: string, readonly labels: Readonly<Record<string, string>>, readonly value: number }} Sample
 */

/**
 * Chooses series by their labels.
 * @typedef {(labels: Readonly<Record<string, string>>) => boolean} Where
 */

/** @type {Where} */
const everything = () => true;

/** The samples of one scrape, with sums. A missing metric counts as zero. */
export class Scrape {
  /** @type {ReadonlyMap<string, readonly Sample[]>} */
  #samples;

  /** @param {ReadonlyMap<string, readonly Sample[]>} samples */
  constructor(samples) {
    this.#samples = samples;
  }

  /** True if there are no samples. */
  get isEmpty() {
    return this.#samples.size === 0;
  }

  /** @returns {Iterable<string>} the names of the metrics */
  names() {
    return this.#samples.keys();
  }

  /**
   * @param {string} name
   * @param {Where} [where]
   * @returns {readonly Sample[]}
   */
  samples(name, where = everything) {
    return (this.#samples.get(name) ?? []).filter(({ labels }) => where(labels));
  }

  /**
   * @param {string} name
   * @param {Where} [where]
   * @returns {number}
   */
  sum(name, where = everything) {
    return this.samples(name, where).reduce((sum, { value }) => sum + value, 0);
  }

  /**
   * Sums by the value of a label; "" stands for series without it.
   * @param {string} name
   * @param {string} label
   * @param {Where} [where]
   * @returns {ReadonlyMap<string, number>}
   */
  by(name, label, where = everything) {
    /** @type {Map<string, number>} */
    const sums = new Map();
    for (const { labels, value } of this.samples(name, where)) {
      const key = labels[label] ?? "";
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
    return sums;
  }
}

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

/** @param {readonly Sample[]} samples */
function cumulativeBuckets(samples) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const { labels, value } of samples) {
    const bound = Number((labels["le"] ?? "").replace("Inf", "Infinity"));
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  return Array.from(counts, ([bound, count]) => ({ bound, count })).sort((a, b) => a.bound - b.bound);
}

/**
 * Prometheus' `histogram_quantile` over the `_bucket` samples of series with the same bounds: linear interpolation in a
 * bucket, the first of which begins at 0; values above the last bound count as that bound. Undefined if there are no
 * observations.
 * @param {number} q from 0 to 1
 * @param {readonly Sample[]} samples
 * @returns {number | undefined}
 */
export function quantile(q, samples) {
  const buckets = cumulativeBuckets(samples);
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = q * total;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const { bound, count } = buckets[index] ?? { bound: Infinity, count: total };
  const below = buckets[index - 1] ?? { bound: 0, count: 0 };
  if (bound === Infinity) return below.bound;
  return below.bound +
    (bound - below.bound) * (count === below.count ? 1 : (rank - below.count) / (count - below.count));
}
