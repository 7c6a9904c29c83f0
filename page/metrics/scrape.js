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

/** Samples by the name of their metric, to be asked for sums. A metric that is not there counts as zero. */
export class Scrape {
  /** @type {ReadonlyMap<string, readonly Sample[]>} */
  #samples;

  /** @param {ReadonlyMap<string, readonly Sample[]>} samples */
  constructor(samples) {
    this.#samples = samples;
  }

  /** Whether there is no sample at all. */
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
