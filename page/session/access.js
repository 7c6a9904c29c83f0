// @ts-check

/**
 * What the one who looks may do, as /v1/access tells it.
 * @typedef {object} Access
 * @property {boolean} open no tokens are configured
 * @property {boolean} exposed it listens on more than the loopback
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
 * What a token allows, in words.
 * @param {Access} access
 */
export function describe(access) {
  const { token, scopes, tenant, prefix } = access;
  const whose = tenant === undefined ? "any tenant" : tenant === "" ? "the default tenant" : `tenant ${tenant}`;
  const keys = prefix === "" ? "" : `, keys that begin with ${prefix}`;
  const numbers = seesNumbers(access) ? "" : " The numbers need a token of scope metrics or admin.";
  return `${token} may ${scopes.join(", ")} (${whose}${keys}).${numbers}`;
}
