import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { inParallel } from "../support/in_parallel.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { TierServer } from "./tier_server.ts";

const KEYS = 300;
const KEPT = 10;
const BODY_BYTES = 2000;

/** Objects whose time is up leave the disk though nobody asks for them, also after a restart. */
export const expiry: HostileCase = {
  name: "expiry",
  async run(run) {
    const { runtime, folder, checks } = run;
    const l2 = `file://${folder}/t`;
    let server = await TierServer.start(runtime, { l2 });
    await fill(server, "2");
    await allGone(run, server, "while it runs");
    await fill(server, "6");
    checks.equal("stop", { actual: await server.stop(), expected: 0 });
    server = await TierServer.start(runtime, { l2 });
    await allGone(run, server, "after a restart");
    await server.stop();
  },
};

async function fill(server: TierServer, ttlSeconds: string): Promise<void> {
  const names = Array.from({ length: KEYS }, (_, n) => n);
  const ttl = { "cache-control": `max-age=${ttlSeconds}` };
  const body = new Uint8Array(BODY_BYTES);
  await inParallel(names, 8, async (n) => void await server.put(`short/${n}`, body, { headers: ttl }));
  for (let n = 0; n < KEPT; n += 1) await server.put(`kept/${n}`, body);
}

async function allGone({ folder, checks }: SuiteRun, server: TierServer, when: string): Promise<void> {
  const bytes = () =>
    ["objects", "segments"].flatMap((each) => globSync(`${folder}/t/${each}/**`, { withFileTypes: true }))
      .filter((entry) => entry.isFile()).reduce(
        (sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size,
        0,
      );
  // Each object takes some hundred bytes besides its own, and 64 KiB are too little to move records together.
  const most = 2 * KEPT * BODY_BYTES + 64 * 1024;
  const isDone = async () => bytes() <= most && (await server.status()).l2[0]?.objects === KEPT;
  await until(isDone, (done) => done, { timeoutMs: 20_000, everyMs: 200 });
  const left = bytes();
  checks.that(`bytes on the disk ${when}`, left <= most, () => `${left}, should be at most ${most}`);
  const objects = (await server.status()).l2[0]?.objects;
  checks.equal(`objects left ${when}`, { actual: objects, expected: KEPT });
  const counted = await server.metric("vitrine_l2_removed_objects_total", "expired");
  checks.equal(`removals counted ${when}`, { actual: counted, expected: KEYS });
}
