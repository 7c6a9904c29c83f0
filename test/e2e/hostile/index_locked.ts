import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { TierServer } from "./tier_server.ts";

const BODY = new Uint8Array(1000).fill(3);

/** Another process takes the lock of the file tier's index, for a while and for longer than calls may take. */
export const indexLocked: HostileCase = {
  name: "index-locked",
  async run({ runtime, folder, checks }) {
    const l2 = `file://${folder}/t`;
    const flags = { "worker-timeout": "1500ms", "l2-timeout": "4s" };
    const server = await TierServer.start(runtime, { l2, flags });
    for (let n = 0; n < 20; n += 1) await server.put(`hot/${n}`, BODY);
    for (const mode of ["IMMEDIATE", "EXCLUSIVE"]) {
      const other = new DatabaseSync(`${folder}/t/index.sqlite`);
      other.exec(`BEGIN ${mode}`);
      const writes = Array.from({ length: 30 }, (_, n) => server.put(`${mode}/${n}`, BODY));
      const untilMs = performance.now() + 2500;
      let hits = 0;
      let slowestMs = 0;
      for (let n = 0; performance.now() < untilMs; n += 1) {
        const startMs = performance.now();
        const { status, from } = await server.get(`hot/${n % 20}`);
        slowestMs = Math.max(slowestMs, performance.now() - startMs);
        if (status === 200 && from.includes("detail=l1")) hits += 1;
        else checks.that(`a hit while the index is locked (${mode})`, false, () => `${status} ${from}`);
        await wait(2);
      }
      checks.that(`hits go on (${mode})`, hits > 50 && slowestMs < 1400, () => `${hits} hits, slowest ${slowestMs} ms`);
      other.exec("ROLLBACK");
      other.close();
      const answers = await Promise.all(writes);
      checks.that(
        `30 PUTs wait and succeed (${mode})`,
        answers.every((status) => status === 201),
        () => answers.join(" "),
      );
    }
    const other = new DatabaseSync(`${folder}/t/index.sqlite`);
    other.exec("BEGIN IMMEDIATE");
    checks.equal("a PUT under a lock that stays", { actual: await server.put("late", BODY), expected: 503 });
    other.exec("ROLLBACK");
    other.close();
    const after = await until(() => server.put("after", BODY), (status) => status < 300, { timeoutMs: 5000 });
    checks.that("PUT after the lock", after < 300, () => String(after));
    checks.equal("no worker is replaced", { actual: (await server.status()).worker_restarts, expected: 0 });
    checks.equal("stop", { actual: await server.stop(), expected: 0 });
  },
};
