import { openTiers } from "../../../src/l2/mod.ts";
import { holds, key, newBench, pattern, sourceOf } from "../../l2/support.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { RedisServer, SentinelSet } from "../tools/redis_server.ts";

const timeoutMs = 30_000;

/** How far an engine has got in the log of writes that master and replica share. */
function offsetOf(engine: RedisServer): number {
  return Number(/master_repl_offset:(\d+)/.exec(engine.command("info", "replication"))?.[1] ?? Number.NaN);
}

/** The master is killed: the tier goes on with the replica that the sentinel has made the master. */
export async function failsOver({ checks }: SuiteRun, { master, replica }: SentinelSet, url: string): Promise<void> {
  const [tier] = await openTiers([url], newBench());
  if (tier === undefined) throw new Error(`open tier: ${url}`);
  await tier.store(key("a"), sourceOf(pattern(3_000_000)));
  // What is stored has reached the replica: a failover keeps what it has.
  const written = offsetOf(master);
  const reached = await until(() => Promise.resolve(offsetOf(replica)), (offset) => offset >= written, { timeoutMs });
  checks.that("the replica has it", reached >= written, () => `${reached} of ${written}`);
  await master.kill();
  const found = await until(
    () => holds(tier, key("a"), pattern(3_000_000)).catch(() => false),
    (isRight) => isRight,
    { timeoutMs },
  );
  checks.that("the object is served by the new master", found, () => String(tier.trouble));
  const stored = await tier.store(key("b"), sourceOf(pattern(10))).catch((error: unknown) => error);
  checks.that("the new master takes stores", !(stored instanceof Error), () => String(stored));
  checks.equal("role of the replica", { actual: replica.command("role").split("\n")[0], expected: "master" });
  await tier.close();
}
