import { isIPv6 } from "node:net";

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
