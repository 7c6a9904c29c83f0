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
   * The numbers could not be renewed at this time.
   * @param {Date} now
   * @param {{ readonly what: string, readonly reason: string }} failure
   */
  failed(now, { what, reason }) {
    this.#failingSince ??= now;
    const seconds = (now.getTime() - this.#failingSince.getTime()) / 1000;
    this.#set(
      "stale",
      `${what} since ${this.#failingSince.toLocaleTimeString("en-GB")} (${formatDuration(seconds)})`,
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
