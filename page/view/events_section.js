// @ts-check
import { byId, make, write } from "./dom.js";
import { EventStream } from "../event_stream.js";
import { formatCount } from "../format.js";

/** @typedef {import("../event_stream.js").LiveRecord} LiveRecord */
/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../event_stream.js").StreamState} StreamState */

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

/** The newest events, newest first. The list is updated once a frame. */
class EventList {
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
    // Lines that would be removed in the same frame are not made.
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

const lineLimit = 200;

/** @type {Readonly<Record<StreamState, string>>} */
const words = {
  closed: "paused",
  connecting: "connecting",
  open: "live",
  refused: "needs a token",
  failed: "refused",
  broken: "connection broken, trying again",
};

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
const wait = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });

/**
 * The live events. A listener makes the server send events one by one and not aggregated, so the stream is open only
 * while the section is visible and not paused.
 */
export class EventsSection {
  #session;
  #stream;
  #list = new EventList(byId("events", HTMLElement), { limit: lineLimit });
  #types = byId("events-types", HTMLInputElement);
  #pause = byId("events-pause", HTMLButtonElement);
  #isPaused = false;
  #isInView = false;
  #opened = "";

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
    this.#stream = new EventStream({
      fetch: (url, init) => session.fetch(url, init),
      wait,
      onRecord: (record) => this.#list.add(record),
      onState: (state, detail) => this.#show(state, detail),
    });
  }

  /** Handles its controls, and opens or closes the stream when the section appears or disappears. */
  start() {
    this.#session.onChange(() => {
      this.#opened = "";
      this.#update();
    });
    byId("events-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#opened = "";
      this.#update();
    });
    this.#pause.addEventListener("click", () => {
      this.#isPaused = !this.#isPaused;
      this.#pause.textContent = this.#isPaused ? "Resume" : "Pause";
      this.#update();
    });
    byId("events-clear", HTMLButtonElement).addEventListener("click", () => this.#list.clear());
    document.addEventListener("visibilitychange", () => this.#update());
    new IntersectionObserver((entries) => {
      this.#isInView = entries.at(-1)?.isIntersecting ?? false;
      this.#update();
    }).observe(byId("events-section", HTMLElement));
  }

  #update() {
    if (this.#isPaused || !this.#isInView || document.hidden) {
      this.#opened = "";
      this.#stream.close();
      return;
    }
    const types = this.#types.value.trim() || "*";
    if (types === this.#opened) return;
    this.#opened = types;
    void this.#stream.open({ types });
  }

  /**
   * @param {StreamState} state
   * @param {string} detail
   */
  #show(state, detail) {
    write("events-state", detail === "" ? words[state] : `${words[state]}: ${detail}`);
    byId("events-state", HTMLElement).dataset["state"] = state;
  }
}
