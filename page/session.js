// @ts-check

/**
 * The rights of the user, as /v1/access returns them.
 * @typedef {object} Access
 * @property {boolean} open no tokens are configured
 * @property {boolean} exposed the server listens on more than the loopback
 * @property {string} token the id of the token, "" without one
 * @property {readonly string[]} scopes
 * @property {string | undefined} tenant undefined: any
 * @property {string} prefix
 */

/**
 * @param {unknown} value
 * @returns {Access}
 */
export function parseAccess(value) {
  if (typeof value !== "object" || value === null) throw new Error("parse access: not an object");
  /** @param {string} name */
  const field = (name) => /** @type {unknown} */ (Reflect.get(value, name));
  const [token, scopes, tenant, prefix] = ["token", "scopes", "tenant", "prefix"].map(field);
  if (!Array.isArray(scopes)) throw new Error("parse access: no scopes");
  return {
    open: field("open") === true,
    exposed: field("exposed") === true,
    token: typeof token === "string" ? token : "",
    scopes: scopes.map(String),
    tenant: typeof tenant === "string" ? tenant : undefined,
    prefix: typeof prefix === "string" ? prefix : "",
  };
}

/** @param {Access} access */
export const seesNumbers = ({ scopes }) => scopes.includes("metrics") || scopes.includes("admin");

/**
 * Describes the rights of a token.
 * @param {Access} access
 */
export function describe(access) {
  const { token, scopes, tenant, prefix } = access;
  const whose = tenant === undefined ? "any tenant" : tenant === "" ? "the default tenant" : `tenant ${tenant}`;
  const keys = prefix === "" ? "" : `, keys that begin with ${prefix}`;
  const numbers = seesNumbers(access) ? "" : " The numbers need a token of scope metrics or admin.";
  return `${token} may ${scopes.join(", ")} (${whose}${keys}).${numbers}`;
}

/**
 * `refused`: a token is needed, or another one; `unknown`: the server has not answered.
 * @typedef {Access | "refused" | "unknown"} Known
 */

/** The key of the token in the tab's storage, which is deleted with the tab. */
const KEY = "vitrine.token";

/** The token of this tab and its rights. */
export class Session {
  #fetch;
  #storage;
  /** @type {(() => void)[]} */
  #listeners = [];
  /** @type {Known} */
  #known = "unknown";

  /**
   * @param {object} options
   * @param {(url: string, init: RequestInit) => Promise<Response>} options.fetch
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem">} options.storage
   */
  constructor({ fetch, storage }) {
    this.#fetch = fetch;
    this.#storage = storage;
  }

  /** The last answer of the server. */
  get known() {
    return this.#known;
  }

  /** @param {() => void} listener called whenever the answer may have changed */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /**
   * Like fetch, with the token and without the browser's own credentials, so that it does not ask the user for them.
   * @param {string} url
   * @param {RequestInit} init
   */
  fetch(url, init = {}) {
    const headers = new Headers(init.headers);
    const token = this.#storage.getItem(KEY);
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    return this.#fetch(url, { ...init, headers, credentials: "omit" });
  }

  /** Asks the server for the rights of the token. */
  async ask() {
    this.#known = await this.#ask().catch(() => "unknown");
    for (const listener of this.#listeners) listener();
  }

  /**
   * @param {string} token
   * @returns {Promise<void>} settles when the server has answered
   */
  signIn(token) {
    this.#storage.setItem(KEY, token);
    return this.ask();
  }

  /** @returns {Promise<void>} */
  signOut() {
    this.#storage.removeItem(KEY);
    return this.ask();
  }

  /** @returns {Promise<Known>} */
  async #ask() {
    const response = await this.fetch("v1/access", { cache: "no-store" });
    if (response.status === 401 || response.status === 429) return "refused";
    return response.ok ? parseAccess(await response.json()) : "unknown";
  }
}
