// @ts-check

/**
 * Lines over time in uPlot's form: `times` in seconds, and for each label one value per time, or null.
 * @typedef {{ readonly times: readonly number[], readonly lines: ReadonlyMap<string, readonly (number | null)[]> }}
 *   Lines
 */

/** The last minutes of one chart. A label that appears later has no values before. */
export class History {
  #keepSeconds;
  #gapSeconds;
  /** @type {number[]} */
  #times = [];
  /** @type {Map<string, (number | null)[]>} */
  #lines = new Map();

  /**
   * @param {{ readonly keepSeconds: number, readonly gapSeconds: number }} options points further apart than the gap
   *   are not connected
   */
  constructor({ keepSeconds, gapSeconds }) {
    this.#keepSeconds = keepSeconds;
    this.#gapSeconds = gapSeconds;
  }

  /**
   * @param {number} time seconds; if it is not later than the last one, the clock was set back and the history begins
   *   anew
   * @param {ReadonlyMap<string, number | undefined>} values
   */
  add(time, values) {
    if (time <= (this.#times.at(-1) ?? -Infinity)) this.#clear();
    const last = this.#times.at(-1);
    if (last !== undefined && time - last > this.#gapSeconds) this.#append(last + this.#gapSeconds / 2, new Map());
    this.#append(time, values);
    while ((this.#times[0] ?? time) < time - this.#keepSeconds) {
      this.#times.shift();
      for (const line of this.#lines.values()) line.shift();
    }
  }

  #clear() {
    this.#times = [];
    for (const label of this.#lines.keys()) this.#lines.set(label, []);
  }

  /** @returns {Lines} */
  get lines() {
    return { times: this.#times, lines: this.#lines };
  }

  /**
   * @param {number} time
   * @param {ReadonlyMap<string, number | undefined>} values
   */
  #append(time, values) {
    for (const label of values.keys()) {
      if (!this.#lines.has(label)) this.#lines.set(label, this.#times.map(() => null));
    }
    this.#times.push(time);
    for (const [label, line] of this.#lines) line.push(values.get(label) ?? null);
  }
}
