import { lookup } from "node:dns/promises";
import type { Config } from "../config.ts";
import { ConfigError } from "../config/config_error.ts";
import { causeText } from "../core/errors.ts";
import { freePort } from "../runtime/free_port.ts";

/** The system's error codes for an address that this machine does not have. */
const NOT_HERE: ReadonlySet<unknown> = new Set(["EADDRNOTAVAIL", "EINVAL"]);

/**
 * The ports to listen on, service and admin, 0 standing for any free one. Throws ConfigError for a host that is none,
 * and an error that names the setting if a port cannot be had.
 */
export async function findPorts(
  { host, port, adminPort }: Pick<Config, "host" | "port" | "adminPort">,
): Promise<readonly [port: number, adminPort: number]> {
  try {
    await lookup(host);
  } catch (cause) {
    throw new ConfigError(`bad value for --host: "${host}", no such host (${causeText(cause)})`, { cause });
  }
  return await Promise.all([find("--port", host, port), find("--admin-port", host, adminPort)]);
}

async function find(flag: string, host: string, port: number): Promise<number> {
  try {
    return await freePort(host, port);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && NOT_HERE.has(cause.code)) {
      throw new ConfigError(`bad value for --host: "${host}", no address of this machine (${cause.message})`, {
        cause,
      });
    }
    throw new Error(`listen on ${host}, ${flag} ${port}: ${causeText(cause)}`, { cause });
  }
}
