import { isIP, isIPv6 } from "node:net";
import type { Config } from "../config.ts";

/**
 * The warning of the start line for a server without tokens that others than this machine may reach; "" if they cannot.
 */
export function exposureWarning({ host }: Pick<Config, "host">): string {
  if (isLoopback(host)) return "";
  return ` (warning: ${host} is more than this machine's loopback: whoever reaches it may read, write and remove every object)`;
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host === "localhost" || host.endsWith(".localhost");
  return isIPv6(host) ? /^(?:0*:)*:?0*1$|^::ffff:127\./i.test(host) : host.startsWith("127.");
}
