import { isIP, isIPv6 } from "node:net";

interface Listens {
  /** The setting. */
  readonly host: string;
}

/** Whether others than this machine may reach a host, as far as its name says. */
export function isExposed({ host }: Listens): boolean {
  if (isIP(host) === 0) return host !== "localhost" && !host.endsWith(".localhost");
  return isIPv6(host) ? !/^(?:0*:)*:?0*1$|^::ffff:127\./i.test(host) : !host.startsWith("127.");
}

/** What the start line says of who may do what. */
export function accessText(config: Listens & { readonly hasTokens: boolean }): string {
  if (config.hasTokens) return " access=tokens";
  if (!isExposed(config)) return " access=open (no tokens: this machine's loopback alone)";
  return ` access=open (warning: no tokens, and ${config.host} is more than this machine's loopback: whoever reaches it may read, write and remove every object)`;
}
