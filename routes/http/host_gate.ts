import { isIP } from "node:net";
import { parseHost } from "./host.ts";
import type { Refusal } from "./problem.ts";

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
