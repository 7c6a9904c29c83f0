import { setTimeout as wait } from "node:timers/promises";
import { inParallel } from "../support/in_parallel.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import { RedisServer } from "../tools/redis_server.ts";
import type { HostileCase } from "./hostile_case.ts";
import { whileFrozen, withLoopDisk } from "./loop_disk.ts";
import { TierServer } from "./tier_server.ts";

const KEYS = 60;
const SMALL_BYTES = 3000;
/** Above what L1 admits: the upload goes to the tiers as it arrives. */
const STREAMED_BYTES = 40 * 1024 * 1024;
const L2_TIMEOUT_MS = 2000;
/** With the quarter that a time-out may take longer, and a busy machine. */
const GIVEN_UP_MS = 3 * L2_TIMEOUT_MS;
const FROZEN_MS = 12_000;
/** Requests that wait for the disk take at least until a tier times out. */
const WITHOUT_WAIT_MS = L2_TIMEOUT_MS;

/** The disk of a file tier freezes beside a Redis: all that has to do with the Redis, and with time, goes on. */
export const frozenBeside: HostileCase = {
  name: "frozen-beside",
  async run(run) {
    const engine = await RedisServer.start(`${run.folder}/engine`);
    try {
      await withLoopDisk(run.folder, (disk) => frozen(run, disk, engine));
    } finally {
      await engine.kill();
    }
  },
};

async function frozen({ runtime, checks }: SuiteRun, disk: string, engine: RedisServer): Promise<void> {
  const l2 = `file://${disk}/t,redis://127.0.0.1:${engine.port}`;
  const flags = { "l1-size": "64MiB", "worker-timeout": "2s", "l2-timeout": `${L2_TIMEOUT_MS}ms` };
  let server = await TierServer.start(runtime, { l2, flags });
  const small = (n: number, version: number) => new Uint8Array(SMALL_BYTES).fill(version + n);
  const everyKey = Array.from({ length: KEYS }, (_, n) => n);
  const store = (prefix: string, version: number) =>
    inParallel(everyKey, 8, async (n) => {
      const status = await server.put(`${prefix}/${n}`, small(n, version), { durability: "l1" });
      checks.that("a PUT is acknowledged", status === 200 || status === 201, () => `${prefix}/${n}: ${status}`);
    });
  const settled = (timeoutMs: number) =>
    until(() => server.status(), ({ storeQueue }) => storeQueue.entries === 0, { timeoutMs });
  const stores = (tier: string, outcome: string) =>
    server.metric("vitrine_l2_requests_total", `tier="${tier}"`, 'op="store"', `outcome="${outcome}"`);

  // Cold objects are in the Redis alone, hot ones everywhere.
  await store("cold", 1);
  await settled(10_000);
  await server.ask("DELETE", "/v1/objects?clear=all&tier=fs");
  await server.ask("DELETE", "/v1/objects?clear=all&tier=l1");
  await store("hot", 1);
  await settled(10_000);
  const inRedis = await stores("redis", "ok");

  await whileFrozen(disk, async () => {
    const frozenMs = performance.now();
    await store("hot", 2);
    const beganMs = performance.now();
    const durable = await server.put("durable", small(0, 3));
    const gaveUpMs = performance.now() - beganMs;
    checks.that(
      "a durable PUT fails when its time is up",
      durable === 503 && gaveUpMs < GIVEN_UP_MS,
      () => `${durable} after ${gaveUpMs} ms`,
    );
    const hits: number[] = [];
    const slow: number[] = [];
    const why = await until(
      async () => {
        const startMs = performance.now();
        hits.push((await server.get(`hot/${hits.length % KEYS}`)).status);
        slow.push(performance.now() - startMs);
        return await server.readyText();
      },
      (text) => hits.length > 20 && text.includes("has been blocked for"),
      { timeoutMs: FROZEN_MS / 2, everyMs: 20 },
    );
    checks.that("/readyz names the thread", /the file thread has been blocked for \d+ s/.test(why), () => why);
    checks.that(
      "L1 hits go on",
      hits.every((status) => status === 200) && Math.max(...slow) < WITHOUT_WAIT_MS,
      () => `${hits.length}: ${[...new Set(hits)].join()}, ${Math.max(...slow)} ms`,
    );
    const seen = new Set<string>();
    let slowestMs = 0;
    await inParallel(everyKey, 4, async (n) => {
      const startMs = performance.now();
      const { status, from } = await server.get(`cold/${n}`);
      seen.add(`${status} ${from.includes("detail=redis")}`);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
    });
    checks.equal("the Redis serves", { actual: [...seen], expected: ["200 true"] });
    checks.that("without a wait for the disk", slowestMs < WITHOUT_WAIT_MS, () => `${slowestMs} ms`);
    const streamed = await server.put("streamed", new Uint8Array(STREAMED_BYTES).fill(7), { durability: "l1" });
    checks.equal("a streamed PUT leaves the file tier out", { actual: streamed, expected: 201 });
    const stored = await until(() => stores("redis", "ok"), (count) => count >= inRedis + KEYS, { timeoutMs: 5000 });
    checks.that("the Redis has what was written meanwhile", stored >= inRedis + KEYS, () => `${stored - inRedis}`);
    checks.that("stores of the file tier time out", await stores("fs", "failed") > 0);
    const status = await server.status();
    checks.equal("/status says which thread hangs, and that none was replaced", {
      actual: [
        status.file_thread,
        status.storage_thread?.state,
        status.storage_thread?.restarts,
        status.worker_restarts,
      ],
      expected: [{ ...status.file_thread, state: "stuck", restarts: 0 }, "ready", 0, 0],
    });
    const stuckFor = (thread: string) => server.metric("vitrine_storage_thread_stuck_seconds", `thread="${thread}"`);
    const stuck = await until(() => stuckFor("file"), (seconds) => seconds >= 5, { timeoutMs: 10_000 });
    const other = await stuckFor("storage");
    checks.that("a scrape says for how long", stuck >= 5 && other < 2, () => `file ${stuck} s, storage ${other} s`);

    // The Redis tier's time-outs are as good as ever.
    engine.pause();
    const askedMs = performance.now();
    const { status: late } = await server.get("nowhere");
    const lateMs = performance.now() - askedMs;
    engine.resume();
    checks.that(
      "a call of a Redis that hangs times out",
      late === 503 && lateMs < GIVEN_UP_MS,
      () => `${late} after ${lateMs} ms`,
    );
    await wait(Math.max(0, FROZEN_MS - (performance.now() - frozenMs)));
  });
  const ready = await until(() => server.ready(), (status) => status === 200, { timeoutMs: 10_000 });
  checks.equal("/readyz after the thaw", { actual: ready, expected: 200 });
  await store("after", 4);
  const after = await settled(20_000);
  checks.equal("nothing waits any more, nobody was replaced", {
    actual: [
      after.storeQueue.entries,
      after.worker_restarts,
      after.storage_thread?.restarts,
      after.file_thread?.restarts,
      after.file_thread?.state,
    ],
    expected: [0, 0, 0, 0, "ready"],
  });
  const goesOn = /the file thread runs again","seconds":\d/;
  const output = await until(() => Promise.resolve(server.process.output), (text) => goesOn.test(text), {
    timeoutMs: 5000,
  });
  checks.that(
    "the log says which thread stood still and went on",
    output.includes("the file thread hangs") && goesOn.test(output) && !output.includes("the storage thread hangs"),
    () => output.slice(-2000),
  );
  checks.equal("stop", { actual: await server.stop(), expected: 0 });

  server = await TierServer.start(runtime, { l2, flags });
  const wrong: string[] = [];
  for (const [prefix, version] of [["hot", 2], ["after", 4], ["cold", 1]] as const) {
    for (const n of everyKey) {
      const { body } = await server.get(`${prefix}/${n}`);
      const isRight = body.length === SMALL_BYTES && body.every((byte) => byte === (version + n) % 256);
      if (!isRight) wrong.push(`${prefix}/${n}`);
    }
  }
  const { body: whole } = await server.get("streamed");
  if (whole.length !== STREAMED_BYTES || whole.some((byte) => byte !== 7)) wrong.push("streamed");
  checks.equal("what was acknowledged is there after a restart", { actual: wrong, expected: [] });
  checks.equal("stop", { actual: await server.stop(), expected: 0 });
}
