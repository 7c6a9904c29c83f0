// @ts-check
import { increase } from "./increase.js";

/** @typedef {import("./scrape.js").Scrape} Scrape */

/**
 * What the figures are made of: the newest scrape, and by how much its counters have grown in the last `seconds`, which
 * are 0 at first.
 * @typedef {{ readonly now: Scrape, readonly grown: Scrape, readonly seconds: number }} View
 */

/** Keeps the scrapes of the last few seconds, over which rates are taken. */
export class MetricsWindow {
  #windowMs;
  /** @type {{ readonly scrape: Scrape, readonly timeMs: number }[]} */
  #kept = [];

  /** @param {{ readonly windowMs: number }} options */
  constructor({ windowMs }) {
    this.#windowMs = windowMs;
  }

  /**
   * Takes a scrape and its time, on a clock that never goes back.
   * @param {Scrape} scrape
   * @param {number} timeMs
   * @returns {View}
   */
  add(scrape, timeMs) {
    this.#kept.push({ scrape, timeMs });
    // The one before the last always stays: after a pause it is all there is to compare with.
    while (this.#kept.length > 2 && timeMs - (this.#kept[0]?.timeMs ?? 0) > this.#windowMs) this.#kept.shift();
    const seconds = (timeMs - (this.#kept[0]?.timeMs ?? timeMs)) / 1000;
    return { now: scrape, grown: increase(this.#kept.map((each) => each.scrape)), seconds };
  }
}
