// @ts-check
import { byId, write } from "./dom.js";
import { describe, seesNumbers } from "../session.js";

/** @typedef {import("../session.js").Session} Session */

/** Asks for a token where one is needed, and shows its rights. */
export class SessionSection {
  #session;
  #token = byId("token", HTMLInputElement);
  #wasRefused = false;

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
  }

  /**
   * Handles its controls, and asks the server.
   * @returns {Promise<void>} settles when it has answered
   */
  start() {
    this.#session.onChange(() => this.#show());
    byId("sign-in", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.#token.value.trim();
      if (token === "") return;
      this.#token.value = "";
      this.#wasRefused = true;
      void this.#session.signIn(token);
    });
    byId("sign-out", HTMLButtonElement).addEventListener("click", () => {
      this.#wasRefused = false;
      void this.#session.signOut();
    });
    return this.#session.ask();
  }

  #show() {
    const { known } = this.#session;
    byId("sign-in", HTMLElement).hidden = known !== "refused";
    write("sign-in-note", known === "refused" && this.#wasRefused ? "This token is not known here." : "");
    if (known === "refused") {
      document.documentElement.dataset["state"] = "refused";
      write("state", "needs a token");
      write("state-age", "");
    }
    const access = typeof known === "string" ? undefined : known;
    byId("signed-in", HTMLElement).hidden = access === undefined || access.token === "";
    if (access !== undefined) write("signed-in-as", describe(access));
    if (access !== undefined && !seesNumbers(access)) {
      document.documentElement.dataset["state"] = "refused";
      write("state", "signed in");
    }
    byId("exposed", HTMLElement).hidden = !(access?.open === true && access.exposed);
  }
}
