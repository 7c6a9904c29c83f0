/**
 * Signals, disks, clocks, sockets, descriptors and control groups used against a real server: one case for each kind of
 * fault. `bun run e2e:hostile [--runtime bun|deno] [--seed N] [--only CASE]`
 */
import { mkdirSync } from "node:fs";
import { hostileCases } from "./hostile/mod.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite } from "./support/run_suite.ts";

const options = suiteOptions({}, { only: hostileCases.map(({ name }) => name) });
const wanted = hostileCases.filter(({ name }) => options.only === "" || options.only === name);

await runSuite("hostile", options, async (run) => {
  for (const hostileCase of wanted) {
    const startMs = performance.now();
    const folder = `${run.folder}/${hostileCase.name}`;
    mkdirSync(folder);
    try {
      await hostileCase.run({ ...run, folder });
    } catch (error) {
      const text = error instanceof Error ? error.stack : String(error);
      run.checks.that(`${hostileCase.name} runs to its end`, false, () => String(text));
    }
    console.log(`${hostileCase.name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
