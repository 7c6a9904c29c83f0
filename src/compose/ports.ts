import { lookup } from "node:dns/promises";
import type { Config } from "../config.ts";
import { ConfigError } from "../config/config_error.ts";
import { causeText } from "../core/errors.ts";
import { freePort } from "../runtime/free_port.ts";

/** The system's error codes for an address of another machine. */
const NOT_HERE: ReadonlySet<unknown> = new Set(["EADDRNOTAVAIL", "EINVAL"]);

/**
 * Finds the service port and the admin port; 0 stands for any free port. Throws ConfigError for an invalid host, and an
 * error with the setting's name if a port is not available.
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
