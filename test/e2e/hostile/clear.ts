import { inParallel } from "../support/in_parallel.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { CLEAR, TierServer } from "./tier_server.ts";

const KEYS = 4000;
const BODY = new Uint8Array(500).fill(9);

/**
 * Everything is cleared from a tier of many objects; others are answered meanwhile, and nothing that was cleared comes
 * back.
 */
export const clear: HostileCase = {
  name: "clear",
  async run({ runtime, folder, checks }) {
    const l2 = `file://${folder}/t?fsync=off`;
    let server = await TierServer.start(runtime, { l2 });
    const names = Array.from({ length: KEYS }, (_, n) => n);
    await inParallel(names, 16, async (n) => void await server.put(`${n}`, BODY));
    const state = { isCleared: false };
    const startMs = performance.now();
    const clearing = server.ask("DELETE", CLEAR).finally(() => state.isCleared = true);
    let slowestMs = 0;
    let meanwhile = 0;
    const wrong: string[] = [];
    while (!state.isCleared) {
      const atMs = performance.now();
      const name = `new/${meanwhile}`;
      const stored = await server.put(name, BODY);
      const found = await server.get(name);
      if (stored !== 201 || (found.status !== 200 && found.status !== 404)) wrong.push(`${stored} ${found.status}`);
      slowestMs = Math.max(slowestMs, performance.now() - atMs);
      meanwhile += 1;
    }
    const answer = await clearing;
    const tookMs = performance.now() - startMs;
    console.log(
      `clear: ${KEYS} objects in ${tookMs.toFixed(0)} ms; ${meanwhile} PUTs and GETs meanwhile, slowest ${
        slowestMs.toFixed(0)
      } ms`,
    );
    checks.that("it is cleared", answer.status < 300, () => JSON.stringify(answer));
    checks.equal("answers meanwhile", { actual: wrong, expected: [] });
    checks.that(
      "others are answered meanwhile",
      // A clear that is over at once gives others no time.
      (meanwhile > 5 || tookMs < 1000) && slowestMs < 2000,
      () => `${meanwhile}, ${slowestMs}, ${tookMs}`,
    );
    const back: string[] = [];
    await inParallel(names.slice(0, 500), 16, async (n) => {
      if ((await server.get(`${n}`)).status !== 404) back.push(`${n}`);
    });
    checks.equal("nothing comes back", { actual: back, expected: [] });
    checks.equal("what was stored last", { actual: (await server.get(`new/${meanwhile - 1}`)).status, expected: 200 });
    const last = await server.put("again", BODY);
    await server.process.kill();
    server = await TierServer.start(runtime, { l2 });
    checks.equal("after kill -9: nothing comes back", { actual: (await server.get("1")).status, expected: 404 });
    const again = await until(() => server.get("again"), ({ status }) => status === 200, { timeoutMs: 2000 });
    checks.equal(`after kill -9: what was stored (${last})`, { actual: again.status, expected: 200 });
    await server.stop();
  },
};
