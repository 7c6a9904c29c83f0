import { DatabaseSync } from "node:sqlite";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { TierServer } from "./tier_server.ts";

const BODY = new Uint8Array(1000).fill(3);

/**
 * Another process wants the lock of the file tier's index: while a server runs it does not get it, and one that has it
 * at the start is waited for.
 */
export const indexLocked: HostileCase = {
  name: "index-locked",
  async run({ runtime, folder, checks }) {
    const l2 = `file://${folder}/t`;
    const first = await TierServer.start(runtime, { l2 });
    for (let n = 0; n < 20; n += 1) await first.put(`hot/${n}`, BODY);
    for (const mode of ["DEFERRED; SELECT * FROM objects", "IMMEDIATE", "EXCLUSIVE"]) {
      const other = new DatabaseSync(`${folder}/t/index.sqlite`);
      const locked = attempt(() => other.exec(`BEGIN ${mode}`));
      other.close();
      checks.that(`BEGIN ${mode} is refused`, locked.includes("locked"), () => locked);
      checks.equal(`a hit after BEGIN ${mode}`, { actual: (await first.get("hot/1")).status, expected: 200 });
      checks.equal(`a durable PUT after BEGIN ${mode}`, { actual: await first.put(mode, BODY), expected: 201 });
    }
    checks.equal("no worker is replaced", { actual: (await first.status()).worker_restarts, expected: 0 });
    checks.equal("stop", { actual: await first.stop(), expected: 0 });

    const other = new DatabaseSync(`${folder}/t/index.sqlite`);
    other.exec("BEGIN IMMEDIATE");
    const starting = TierServer.start(runtime, { l2 });
    // The server waits some seconds for whoever looks into its index at the moment.
    await until(() => Promise.resolve(performance.now()), () => false, { timeoutMs: 1500 });
    other.exec("ROLLBACK");
    other.close();
    const second = await starting;
    checks.equal("a GET after a start that had to wait", { actual: (await second.get("hot/7")).status, expected: 200 });
    checks.equal("stop", { actual: await second.stop(), expected: 0 });
  },
};

function attempt(work: () => void): string {
  try {
    work();
    return "";
  } catch (error) {
    return String(error);
  }
}
