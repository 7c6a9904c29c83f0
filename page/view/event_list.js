// @ts-check
import { formatCount } from "../format.js";
import { make } from "./dom.js";

/** @typedef {import("../live/record.js").LiveRecord} LiveRecord */

/** @param {LiveRecord} record */
function lineOf({ name, time, count, fields }) {
  if (name === "lost") {
    const missing = count === undefined ? "Events" : count === 1 ? "1 event" : `${formatCount(count)} events`;
    return make("li", { class: "lost" }, `${missing} missing here: this page did not take them in time`);
  }
  const clock = time === undefined ? "" : time.toLocaleTimeString("en-GB");
  const many = count === undefined || count === 1 ? [] : [make("span", { class: "count" }, `×${formatCount(count)}`)];
  const pairs = fields.flatMap(([field, value]) => [
    make("span", { class: "field" }, make("i", {}, `${field}=`), value),
    " ",
  ]);
  return make(
    "li",
    {},
    make("time", {}, clock),
    make("b", {}, name),
    ...many,
    make("span", { class: "fields" }, ...pairs),
  );
}

/** The newest events, newest first. They are put in once a frame, however many come. */
export class EventList {
  #list;
  #limit;
  /** @type {LiveRecord[]} */
  #waiting = [];

  /**
   * @param {HTMLElement} list
   * @param {{ readonly limit: number }} options
   */
  constructor(list, { limit }) {
    this.#list = list;
    this.#limit = limit;
  }

  /** @param {LiveRecord} record */
  add(record) {
    this.#waiting.push(record);
    // What would be pushed out again within the frame is not made at all.
    if (this.#waiting.length > this.#limit) this.#waiting.shift();
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#show());
  }

  /** Removes all lines. */
  clear() {
    this.#list.replaceChildren();
  }

  #show() {
    this.#list.prepend(...this.#waiting.splice(0).toReversed().map(lineOf));
    while (this.#list.childElementCount > this.#limit) this.#list.lastElementChild?.remove();
  }
}
