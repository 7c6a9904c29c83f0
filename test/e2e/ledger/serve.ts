import process from "node:process";
import { type RunningCluster, startCluster } from "../../../src/compose/cluster.ts";
import { loadConfig } from "../../../src/config.ts";
import { hostFacts } from "../../../src/runtime/host.ts";

/**
 * Starts a cluster in this process as src/main.ts does, from the same flags and with the same start line; SIGTERM stops
 * it gracefully.
 */
export async function serve(): Promise<RunningCluster> {
  const loaded = loadConfig({
    args: process.argv.slice(2),
    env: process.env,
    readFile: () => undefined,
    ...hostFacts(),
    version: "test",
  });
  if (!("config" in loaded)) throw new Error("start server: flags that ask for a text");
  const reportError = (error: unknown) => console.error(error);
  const cluster = await startCluster({ config: loaded.config, version: "test", env: process.env, reportError });
  process.once("SIGTERM", () => {
    void cluster.stop().then(() => process.exit(0));
  });
  const { address, adminAddress } = cluster;
  console.log(`test server on http://${address.host}:${address.port} admin=${adminAddress.port}`);
  return cluster;
}
