// @ts-check
import { EventStream } from "../live/event_stream.js";
import { byId, write } from "./dom.js";
import { EventList } from "./event_list.js";

/** @typedef {import("../live/event_stream.js").StreamState} StreamState */
/** @typedef {import("../session/session.js").Session} Session */

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
 * The live events. Somebody who listens makes the server send these events one by one instead of added up, so the
 * stream is open only while the section can be seen and is not paused.
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

  /** Listens to its controls, and to whether it can be seen. */
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
