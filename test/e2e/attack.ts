/**
 * What somebody may try against a real server: raw bytes, slow clients, requests made from the specification, changed
 * files, web pages of other origins. `bun run e2e:attack [--runtime bun|deno] [--seed N] [--seconds N] [--only PART]`
 */
import { damage } from "./attack/damage.ts";
import { fuzz } from "./attack/fuzz.ts";
import type { Part } from "./attack/part.ts";
import { schema } from "./attack/schema.ts";
import { slow } from "./attack/slow.ts";
import { stranger } from "./attack/stranger.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite } from "./support/run_suite.ts";

const parts: Readonly<Record<string, Part>> = { fuzz, slow, schema, damage, stranger };
const options = suiteOptions({ seconds: 12 }, { only: Object.keys(parts) });
const seconds = options.number("seconds");

await runSuite("attack", options, async (run) => {
  for (const [name, part] of Object.entries(parts)) {
    if (options.only !== "" && options.only !== name) continue;
    const startMs = performance.now();
    await part(run, { seconds, seed: options.seed });
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
