// @ts-check
import { byId, write } from "./dom.js";
import { formatDuration } from "../format.js";

/** The line that says if the numbers are current. */
export class ServerState {
  /** @type {Date | undefined} */
  #failingSince;

  /**
   * The server answered; without any series if it makes none.
   * @param {{ readonly hasMetrics: boolean }} answer
   */
  answered({ hasMetrics }) {
    this.#failingSince = undefined;
    byId("off", HTMLElement).hidden = hasMetrics;
    if (hasMetrics) this.#show({ state: "live", text: "live" });
    else this.#show({ state: "off", text: "observability is off" });
  }

  /**
   * The numbers could not be renewed at this time.
   * @param {Date} now
   * @param {{ readonly what: string, readonly reason: string }} failure
   */
  failed(now, { what, reason }) {
    const since = this.#failingSince ?? now;
    this.#failingSince = since;
    this.#show({
      state: "stale",
      text: `${what} since ${since.toLocaleTimeString("en-GB")}`,
      age: `(${formatDuration((now.getTime() - since.getTime()) / 1000)})`,
      reason,
    });
  }

  /**
   * @param {{ readonly state: string, readonly text: string, readonly age?: string, readonly reason?: string }} line
   */
  #show({ state, text, age = "", reason = "" }) {
    document.documentElement.dataset["state"] = state;
    // Screen readers read the state when it changes; the age changes all the time and is left out.
    write("state", text);
    write("state-age", age);
    byId("state", HTMLElement).title = reason;
  }
}
