import { loadConfig } from "../../src/config.ts";
import type { ServerOptions } from "../../src/compose/server.ts";

/** Arguments of a cluster of two workers. They may be slow: no test counts what a busy machine does to them. */
export const TWO_WORKERS: readonly string[] = [
  ...["--port", "0", "--admin-port", "0", "--workers", "2", "--worker-timeout", "5m"],
];

/** Options of a server on a machine of two cores and 1 GiB; `errors` gets what it reports. Throws if args are wrong. */
export function serverOptions(
  args: readonly string[],
  { env = {}, errors = [] }: { readonly env?: ServerOptions["env"]; readonly errors?: unknown[] } = {},
): ServerOptions {
  const loaded = loadConfig({
    args,
    env: {},
    readFile: () => undefined,
    memoryLimitBytes: 1024 ** 3,
    cpuCount: 2,
    version: "0.0.0-test",
  });
  if (!("config" in loaded)) throw new Error("no settings");
  return { config: loaded.config, version: "0.0.0-test", env, reportError: (error) => errors.push(error) };
}
