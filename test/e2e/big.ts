/**
 * Objects larger than memory, and readers that stall.
 * `bun run e2e:big [--runtime bun|deno] [--size MIB] [--stall SECONDS] [--idle SECONDS]`
 */
import { boundedMemory, stalledMemory } from "./big/bounded_memory.ts";
import { stalledReaders } from "./big/stalled_readers.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite } from "./support/run_suite.ts";

const options = suiteOptions({ size: 1024, stall: 70, idle: 60 });

await runSuite("big", options, async (run) => {
  const stall = { stallSeconds: options.number("stall"), idleTimeout: `${options.number("idle")}s` };
  await stalledMemory(run);
  await Promise.all([boundedMemory(run, options.number("size")), stalledReaders(run, stall)]);
});
