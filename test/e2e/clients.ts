/**
 * Real build clients, unmodified, each doing what its user does: a cold build stores, a warm one hits, what is missing
 * or damaged is a miss, and what the client counts is what /metrics says.
 * `bun run e2e:clients [--runtime bun|deno] [--only turborepo|nx|sccache|ccache|unstorage|metro] [--long 1]`; the long
 * form runs Gradle too.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ccache } from "./clients/ccache.ts";
import { gradle } from "./clients/gradle.ts";
import { nx } from "./clients/nx.ts";
import { sccache } from "./clients/sccache.ts";
import { metro, unstorage } from "./clients/scripted.ts";
import { Target } from "./clients/target.ts";
import { turborepo } from "./clients/turborepo.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite } from "./support/run_suite.ts";

const clients: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  turborepo,
  nx,
  sccache,
  ccache,
  unstorage,
  metro,
};

/** Those that take long to install or to run: `--long 1`. */
const longClients: typeof clients = { gradle };

const options = suiteOptions({ long: 0 }, { only: Object.keys({ ...clients, ...longClients }) });
const isLong = options.number("long") !== 0;

await runSuite("clients", options, async (run) => {
  for (const [name, client] of Object.entries({ ...clients, ...(isLong ? longClients : {}) })) {
    if (options.only !== "" && options.only !== name) continue;
    const folder = join(run.folder, name);
    mkdirSync(folder);
    const startMs = performance.now();
    const target = await Target.start({ ...run, folder });
    await client(target);
    await target.stop();
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
