import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as v from "valibot";
import type { RuntimeName } from "../../test/e2e/support/server_process.ts";

/** Two threads that only hit, beside one. */
export interface ThreadHits {
  readonly name: string;
  readonly runtime: RuntimeName;
  /** Hits a second of one thread and of two, the best of the rounds. */
  readonly one: number;
  readonly two: number;
  /** two / one. A thread that waits for a lock takes no processor time, so this is the ratio that counts. */
  readonly byRate: number;
  /** Twice the processor time for a hit of one thread / that of two, the least of the rounds. */
  readonly byCpu: number;
  readonly atLeast: number;
}

const hitsSchema = v.object({ objects: v.number(), threads: v.number(), perSecond: v.number(), cpuNs: v.number() });
const aims = [
  { name: "20 000 keys", objects: 20_000, atLeast: 1.8 },
  { name: "one hot key", objects: 1, atLeast: 1.3 },
] as const;
const run: Readonly<Record<RuntimeName, readonly string[]>> = { bun: ["bun"], deno: ["deno", "run", "--allow-all"] };

/** Runs `bench/l1.ts --threads 2` on one runtime. */
export async function threadHits(runtime: RuntimeName, rounds: number): Promise<readonly ThreadHits[]> {
  const [command = "", ...args] = run[runtime];
  const options = ["bench/l1.ts", "--threads", "2", "--rounds", `${rounds}`, "--json"];
  const { stdout } = await promisify(execFile)(command, [...args, ...options]);
  const measured = v.parse(v.array(hitsSchema), JSON.parse(stdout));
  return aims.map(({ name, objects, atLeast }) => {
    const [one, two] = [1, 2].map((count) =>
      measured.find((hits) => hits.objects === objects && hits.threads === count)
    );
    if (one === undefined || two === undefined) throw new Error(`hits of threads: not measured: ${name}`);
    const [byRate, byCpu] = [two.perSecond / one.perSecond, (2 * one.cpuNs) / two.cpuNs];
    return { name, runtime, one: one.perSecond, two: two.perSecond, byRate, byCpu, atLeast };
  });
}
