// @ts-check
import { Scrape } from "./scrape.js";

/** @typedef {import("./scrape.js").Sample} Sample */

/**
 * @param {Scrape} scrape
 * @param {string} name
 */
function valuesById(scrape, name) {
  return new Map(scrape.samples(name).map(({ id, value }) => [id, value]));
}

/**
 * The increase of each series from the oldest to the newest scrape. It is never negative: a value below the previous
 * one means that the counter was reset, and a new series began at zero (every start of the server has series of its
 * own, by `service_instance_id`).
 * @param {readonly Scrape[]} scrapes oldest first; the result of fewer than two is empty
 * @returns {Scrape}
 */
export function increase(scrapes) {
  const newest = scrapes.at(-1);
  if (newest === undefined || scrapes.length < 2) return new Scrape(new Map());
  /** @type {Map<string, readonly Sample[]>} */
  const grown = new Map();
  for (const name of newest.names()) {
    const values = scrapes.map((scrape) => valuesById(scrape, name));
    grown.set(
      name,
      newest.samples(name).map(({ id, labels }) => {
        let value = 0;
        let before = values[0]?.get(id) ?? 0;
        for (const each of values.slice(1)) {
          const after = each.get(id) ?? 0;
          value += after >= before ? after - before : after;
          before = after;
        }
        return { id, labels, value };
      }),
    );
  }
  return new Scrape(grown);
}

/**
 * The input of the figures: the newest scrape, and the increase of its counters in the last `seconds`, which are 0 at
 * first.
 * @typedef {{ readonly now: Scrape, readonly grown: Scrape, readonly seconds: number }} View
 */

/** Keeps the scrapes of the last few seconds, for rates. */
export class MetricsWindow {
  #windowMs;
  /** @type {{ readonly scrape: Scrape, readonly timeMs: number }[]} */
  #kept = [];

  /** @param {{ readonly windowMs: number }} options */
  constructor({ windowMs }) {
    this.#windowMs = windowMs;
  }

  /**
   * Adds a scrape and its time on a monotonic clock.
   * @param {Scrape} scrape
   * @param {number} timeMs
   * @returns {View}
   */
  add(scrape, timeMs) {
    this.#kept.push({ scrape, timeMs });
    // The scrape before the last one always stays: after a pause it is the only one to compare with.
    while (this.#kept.length > 2 && timeMs - (this.#kept[0]?.timeMs ?? 0) > this.#windowMs) this.#kept.shift();
    const seconds = (timeMs - (this.#kept[0]?.timeMs ?? timeMs)) / 1000;
    return { now: scrape, grown: increase(this.#kept.map((each) => each.scrape)), seconds };
  }
}
