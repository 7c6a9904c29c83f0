import { BlockList, isIP, isIPv6 } from "node:net";

/** The header fields in which proxies name their clients. */
export const PROXY_HEADERS = ["x-forwarded-for", "forwarded"] as const;

/** One of them. */
export type ProxyHeader = (typeof PROXY_HEADERS)[number];

/** Settings of a ClientAddress. */
export interface ProxySettings {
  /** Addresses and networks (`10.0.0.0/8`) of the proxies whose header is believed. */
  readonly trustedProxies: readonly string[];
  /**
   * The one field that these proxies write. Most proxies pass others on as they came, so that a client could choose its
   * address with them.
   */
  readonly proxyHeader: ProxyHeader;
}

/** Entries of a field that are read, from its end: more than proxies in a row. */
const MAX_ENTRIES = 32;
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Finds the address of a client behind proxies. */
export class ClientAddress {
  readonly #proxies = new BlockList();
  readonly #header: ProxyHeader;
  readonly #trustsNone: boolean;

  constructor({ trustedProxies, proxyHeader }: ProxySettings) {
    this.#header = proxyHeader;
    this.#trustsNone = trustedProxies.length === 0;
    for (const network of trustedProxies) {
      const [address = "", bits] = network.split("/");
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      if (bits === undefined) this.#proxies.addAddress(address, family);
      else this.#proxies.addSubnet(address, Number(bits), family);
    }
  }

  /**
   * The address of the client: that of the socket, unless it is a trusted proxy. Then the header is read from its end,
   * where the nearest proxy has written, up to the first address that is not a trusted proxy or is none at all: who
   * wrote what lies before it is not known.
   */
  of(socketAddress: string, headers: Headers): string {
    if (this.#trustsNone || !this.#trusts(socketAddress)) return socketAddress;
    let client = socketAddress;
    for (const entry of (headers.get(this.#header) ?? "").split(",").slice(-MAX_ENTRIES).toReversed()) {
      const address = addressIn(this.#header === "forwarded" ? forwardedFor(entry) : entry.trim());
      if (address === undefined) return client;
      client = address;
      if (!this.#trusts(address)) return client;
    }
    return client;
  }

  #trusts(address: string): boolean {
    const plain = unmapped(address);
    return isIP(plain) !== 0 && this.#proxies.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
  }
}

/** The value of `for` in an element of Forwarded (RFC 7239, 4), without its quotes; "" if it has none. */
function forwardedFor(element: string): string {
  for (const pair of element.split(";")) {
    const value = /^\s*for\s*=\s*"?([^"]*)"?\s*$/i.exec(pair)?.[1];
    if (value !== undefined) return value;
  }
  return "";
}

/** The address in a text that may have a port; undefined if there is none (`unknown`, `_hidden`). */
function addressIn(text: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return isIP(address) === 0 ? undefined : unmapped(address);
}

/** An address with an IPv4-mapped one (`::ffff:…`) in its IPv4 form. */
export function unmapped(address: string): string {
  return MAPPED.exec(address)?.[1] ?? address;
}
