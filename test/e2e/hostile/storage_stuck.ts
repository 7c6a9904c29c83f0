import { execFileSync } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { inParallel } from "../support/in_parallel.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { withLoopDisk } from "./loop_disk.ts";
import { TierServer } from "./tier_server.ts";

const KEYS = 200;
const SMALL_BYTES = 3000;
/** Above the size up to which objects are in segments. */
const LARGE_BYTES = 300_000;
/** Above what L1 admits: the upload goes to the tier as it arrives. */
const STREAMED_BYTES = 20 * 1024 * 1024;
const FROZEN_MS = 8000;

/** The file system under the file tier freezes for 8 s, so that the storage thread hangs in a system call. */
export const storageStuck: HostileCase = {
  name: "storage-stuck",
  run: (run) => withLoopDisk(run.folder, (disk) => frozen(run, disk)),
};

async function frozen({ runtime, checks }: SuiteRun, disk: string): Promise<void> {
  const l2 = `file://${disk}/t`;
  // A worker that waited for the disk would be replaced in no time.
  let server = await TierServer.start(runtime, { l2, flags: { "l1-size": "64MiB", "worker-timeout": "2s" } });
  const small = (n: number, version: number) => new Uint8Array(SMALL_BYTES).fill(version + n);
  const large = new Uint8Array(LARGE_BYTES).fill(9);
  const everyKey = Array.from({ length: KEYS }, (_, n) => n);
  const store = (version: number) =>
    inParallel(everyKey, 8, async (n) => {
      const status = await server.put(`${n}`, small(n, version), { durability: "l1" });
      checks.that("a PUT is acknowledged", status === 200 || status === 201, () => `${n}: ${status}`);
    });
  await store(1);
  await server.put("large", new Uint8Array(LARGE_BYTES), { durability: "l1" });
  await until(() => server.status(), ({ storeQueue }) => storeQueue.entries === 0, { timeoutMs: 10_000 });

  execFileSync("fsfreeze", ["-f", disk]);
  const frozenMs = performance.now();
  let durable: Promise<number>;
  let streamed: Promise<number>;
  try {
    await store(2);
    await server.put("large", large, { durability: "l1" });
    durable = server.put("durable", small(0, 3));
    streamed = server.put("streamed", new Uint8Array(STREAMED_BYTES).fill(7));
    const hits: number[] = [];
    const slow: number[] = [];
    const why = await until(
      async () => {
        const startMs = performance.now();
        hits.push((await server.get(`${hits.length % KEYS}`)).status);
        slow.push(performance.now() - startMs);
        return await server.readyText();
      },
      (text) => text.includes("has been blocked for"),
      { timeoutMs: FROZEN_MS - 500, everyMs: 20 },
    );
    checks.that(
      "/readyz says why, on both ports",
      /^503 not ready: the storage thread has been blocked for \d+ s/.test(why) &&
        (await server.ask("GET", "/readyz")).text.includes("has been blocked for"),
      () => why,
    );
    checks.that(
      "L1 hits go on",
      hits.length > 50 && hits.every((status) => status === 200),
      () => `${hits.length}: ${[...new Set(hits)].join()}`,
    );
    checks.that("and none waits for the disk", Math.max(...slow) < 1000, () => `${Math.max(...slow)} ms`);
    const status = await server.status();
    checks.equal("/status: state and restarts of the storage thread", {
      actual: [status.storage_thread?.state, status.storage_thread?.restarts],
      expected: ["stuck", 0],
    });
    checks.equal("the store queue is known although its tier does not answer", {
      actual: [status.storeQueue.entries, await server.metric("vitrine_store_queue_bytes")],
      expected: [KEYS + 1, KEYS * SMALL_BYTES + LARGE_BYTES],
    });
    const stuck = await server.metric("vitrine_storage_thread_stuck_seconds");
    const age = await server.metric("vitrine_store_queue_oldest_age_seconds");
    checks.that("a scrape says for how long", stuck >= 5 && age >= 5 && age < 12, () => `${stuck} s, oldest ${age} s`);
    await wait(Math.max(0, FROZEN_MS - (performance.now() - frozenMs)));
  } finally {
    execFileSync("fsfreeze", ["-u", disk]);
  }
  checks.equal("a durable PUT waits and is made", { actual: await durable, expected: 201 });
  checks.equal("a streamed PUT waits and is made", { actual: await streamed, expected: 201 });
  const ready = await until(() => server.ready(), (status) => status === 200, { timeoutMs: 10_000 });
  checks.equal("/readyz after the thaw", { actual: ready, expected: 200 });
  const after = await until(() => server.status(), ({ storeQueue }) => storeQueue.entries === 0, { timeoutMs: 20_000 });
  checks.equal("nothing waits any more, nobody was replaced", {
    actual: [
      after.storeQueue.entries,
      after.worker_restarts,
      after.storage_thread?.restarts,
      after.storage_thread?.state,
    ],
    expected: [0, 0, 0, "ready"],
  });
  const goesOn = /the storage thread runs again","seconds":\d/;
  // Log lines are written behind.
  const output = await until(() => Promise.resolve(server.process.output), (text) => goesOn.test(text), {
    timeoutMs: 5000,
  });
  checks.that(
    "the log says when it stood still and when it went on",
    output.includes("the storage thread hangs") && goesOn.test(output),
    () => output.slice(-2000),
  );
  const [changes, stores] = [
    await server.metric("vitrine_l2_commit_changes_sum"),
    await server.metric("vitrine_l2_requests_total", 'op="store"', 'outcome="ok"'),
  ];
  const deletes = await server.metric("vitrine_l2_requests_total", 'op="delete"');
  checks.equal("changes committed are stores and deletes", { actual: changes, expected: stores + deletes });
  const commits = await server.metric("vitrine_l2_commit_changes_count");
  checks.that("in no more commits", commits > 0 && commits <= changes, () => `${commits} for ${changes}`);

  checks.equal("stop", { actual: await server.stop(), expected: 0 });
  server = await TierServer.start(runtime, { l2 });
  const wrong: string[] = [];
  for (const n of everyKey) {
    const { body } = await server.get(`${n}`);
    if (body.length !== SMALL_BYTES || body.some((byte) => byte !== (2 + n) % 256)) wrong.push(`${n}`);
  }
  const { body } = await server.get("large");
  if (body.length !== LARGE_BYTES || body[0] !== 9) wrong.push("large");
  if ((await server.get("durable")).status !== 200) wrong.push("durable");
  const { body: whole } = await server.get("streamed");
  if (whole.length !== STREAMED_BYTES || whole.some((byte) => byte !== 7)) wrong.push("streamed");
  checks.equal("what was acknowledged is there after a restart", { actual: wrong, expected: [] });
  checks.equal("stop", { actual: await server.stop(), expected: 0 });
}
