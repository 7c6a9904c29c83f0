// @ts-check
import { formatDuration } from "../format.js";
import { byId, write } from "./dom.js";

/** The line that says whether the numbers are of now. */
export class ServerState {
  /** @type {Date | undefined} */
  #failingSince;

  /**
   * The server answered; without any series if it makes none.
   * @param {{ readonly hasMetrics: boolean }} answer
   */
  answered({ hasMetrics }) {
    this.#failingSince = undefined;
    this.#set(hasMetrics ? "live" : "off", hasMetrics ? "live" : "observability is off");
    byId("off", HTMLElement).hidden = hasMetrics;
    byId("state", HTMLElement).title = "";
  }

  /**
   * The server did not answer at this time, or not so that it can be read.
   * @param {Date} now
   * @param {string} reason
   */
  failed(now, reason) {
    this.#failingSince ??= now;
    const seconds = (now.getTime() - this.#failingSince.getTime()) / 1000;
    this.#set(
      "stale",
      `no answer since ${this.#failingSince.toLocaleTimeString("en-GB")} (${formatDuration(seconds)})`,
    );
    byId("state", HTMLElement).title = reason;
  }

  /**
   * @param {"live" | "off" | "stale"} state
   * @param {string} text
   */
  #set(state, text) {
    document.documentElement.dataset["state"] = state;
    write("state", text);
  }
}
