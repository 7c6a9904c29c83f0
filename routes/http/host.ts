import { isIP, isIPv6 } from "node:net";
import type { Refusal } from "./problem.ts";

/** The parts of a Host field. */
export interface Host {
  /** In lower case; an IPv6 address in its brackets. */
  readonly name: string;
  /** The digits as sent; "" if the field has none. */
  readonly port: string;
}

/**
 * `uri-host [ ":" port ]` of RFC 9110, 7.2 and RFC 3986, 3.2.2. The alternatives exclude each other, so matching takes
 * linear time.
 */
const HOST = /^(?:\[([^[\]]+)\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})+)(?::(\d*))?$/i;
const FUTURE_ADDRESS = /^v[\da-f]+\.[\w.~!$&'()*+,;=:-]+$/i;

/** Parses a Host field; undefined if it is malformed, which RFC 9112, 3.2 answers with 400. */
export function parseHost(field: string): Host | undefined {
  const match = HOST.exec(field);
  if (match === null) return undefined;
  const [, literal, port] = match;
  if (literal !== undefined && !isIPv6(literal) && !FUTURE_ADDRESS.test(literal)) return undefined;
  const name = port === undefined ? field : field.slice(0, -port.length - 1);
  return { name: name.toLowerCase(), port: port ?? "" };
}

/** The largest number of Host values remembered as allowed. */
const MAX_REMEMBERED = 64;

/**
 * Checks the Host of each request against DNS rebinding: a page can make its own name point to this server and then
 * read and clear it, if there are no tokens. Loopback names and addresses cannot be used for that.
 */
export class HostGate {
  readonly #names = new Set(["localhost"]);
  /** Each begins with a dot. */
  readonly #suffixes: string[] = [".localhost"];
  readonly #takesAny: boolean;
  /** Host values that were allowed before, so that most requests need one look-up. */
  readonly #remembered = new Set<string>();

  /**
   * `allowedHosts`: names in addition to loopback names and addresses; `*.name` is all names below it, `*` every name.
   */
  constructor(allowedHosts: readonly string[]) {
    this.#takesAny = allowedHosts.includes("*");
    for (const host of allowedHosts) {
      const name = host.toLowerCase();
      if (name.startsWith("*.")) this.#suffixes.push(name.slice(1));
      else this.#names.add(name);
    }
  }

  /**
   * The reason to refuse a request with this Host; undefined if the host is allowed, or the field is missing (HTTP/1.0
   * needs none, and browsers always send one).
   */
  refuse(field: string | null): Refusal | undefined {
    if (field === null || this.#remembered.has(field)) return undefined;
    const host = parseHost(field);
    if (host === undefined) return { code: "bad_request", message: "parse Host: not one host with or without a port" };
    if (!this.#allows(host.name.endsWith(".") ? host.name.slice(0, -1) : host.name)) {
      const message = `check Host: neither localhost, nor an address, nor one of --allowed-hosts: ${
        host.name.slice(0, 255)
      }`;
      return { code: "misdirected", message };
    }
    if (this.#remembered.size < MAX_REMEMBERED) this.#remembered.add(field);
    return undefined;
  }

  #allows(name: string): boolean {
    if (this.#takesAny || this.#names.has(name)) return true;
    if (isIP(name.startsWith("[") ? name.slice(1, -1) : name) !== 0) return true;
    return this.#suffixes.some((suffix) => name.endsWith(suffix) && name.length > suffix.length);
  }
}
