import { isIP, isIPv6 } from "node:net";
import type { Refusal } from "./problem.ts";

/** The parts of a Host field. */
export interface Host {
  /** In lower case; an IPv6 address in its brackets. */
  readonly name: string;
  /** Digits as they came; "" where the field has none. */
  readonly port: string;
}

/**
 * `uri-host [ ":" port ]` of RFC 9110, 7.2, with the parts of RFC 3986, 3.2.2. The alternatives exclude each other, so
 * it takes linear time.
 */
const HOST = /^(?:\[([^[\]]+)\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})+)(?::(\d*))?$/i;
const FUTURE_ADDRESS = /^v[\da-f]+\.[\w.~!$&'()*+,;=:-]+$/i;

/** The value of a Host field, or undefined if it is not one: RFC 9112, 3.2 wants a 400 then. */
export function parseHost(field: string): Host | undefined {
  const match = HOST.exec(field);
  if (match === null) return undefined;
  const [, literal, port] = match;
  if (literal !== undefined && !isIPv6(literal) && !FUTURE_ADDRESS.test(literal)) return undefined;
  const name = port === undefined ? field : field.slice(0, -port.length - 1);
  return { name: name.toLowerCase(), port: port ?? "" };
}

/** Most fields that are remembered as allowed. */
const MAX_REMEMBERED = 64;

/**
 * Looks at the Host of each request. A server without tokens that answers to any name can be read and emptied by every
 * page that its user visits: the page's own name is made to point here (DNS rebinding). Loopback names and addresses
 * cannot be made to.
 */
export class HostGate {
  readonly #names = new Set(["localhost"]);
  /** Each begins with a dot. */
  readonly #suffixes: string[] = [".localhost"];
  readonly #takesAny: boolean;
  /** Most requests name one that was looked at already. */
  readonly #remembered = new Set<string>();

  /**
   * `allowedHosts`: names beside the loopback's and addresses; `*.` before one stands for all below it, `*` alone for
   * every name.
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
   * Gives the reason to refuse a request with this Host; undefined if the field is missing (HTTP/1.0 needs none, and no
   * browser sends such a request) or names one host that is ours.
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
