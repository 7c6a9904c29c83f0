import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { freePorts } from "../tools/free_ports.ts";
import { Client } from "../support/http/client.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import { MetricsPage } from "../support/metrics_page.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { untilStored } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";

const timeoutMs = 20_000;
/** A near server's time-out of calls to the central one, and how long an error may take in all, in milliseconds. */
const [L2_TIMEOUT_MS, ERROR_MS] = [6000, 10_000];
/** Milliseconds for which the central server is stopped. */
const PAUSE_MS = 10_000;
const PREFIX = "near/";
const sizes = [0, 100, 5000, 200_000, 3_000_000];

interface Peer {
  readonly server: ServerProcess;
  readonly client: Client;
}

function contentOf(seed: number, sizeBytes: number): Uint8Array {
  const random = new Random(seed);
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = random.uint32();
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

async function start({ runtime }: SuiteRun, flags: Readonly<Record<string, string>>): Promise<Peer> {
  const server = await ServerProcess.start({ runtime, flags: { workers: "2", "l1-size": "32MiB", ...flags } });
  return { server, client: new Client(server.address, new Ledger()) };
}

async function pageOf({ server }: Peer): Promise<MetricsPage> {
  const { host, port } = server.adminAddress;
  return new MetricsPage(await (await fetch(`http://${host}:${port}/metrics`)).text());
}

/**
 * Two near servers in front of a central one: bytes, metadata and entity tags are the same on all of them, conditions
 * hold, misses say why, the numbers of both sides agree, and all goes on after the central one stood still or was
 * killed.
 */
export async function nearServers(run: SuiteRun): Promise<void> {
  const { checks, folder } = run;
  const [port] = await freePorts(1);
  const centralFlags = { port: String(port), l2: `file://${folder}/central?fsync=off`, write: "through" };
  const nearFlags = { l2: `http://127.0.0.1:${port}/${PREFIX}`, "l2-timeout": `${L2_TIMEOUT_MS}ms` };
  let central = await start(run, centralFlags);
  const near = await start(run, { ...nearFlags, write: "through" });
  const lazy = await start(run, { ...nearFlags, write: "back" });

  const put = async ({ client }: Peer, key: string, body: Uint8Array, headers: Record<string, string> = {}) => {
    return await client.request({ method: "PUT", path: objectPath(key), body, headers });
  };
  const get = async ({ client }: Peer, key: string) => await client.request({ method: "GET", path: objectPath(key) });
  const failedOr = async (asking: Promise<{ readonly status: number }>): Promise<number> =>
    (await asking.catch(() => ({ status: 0 }))).status;

  const contents = new Map(
    Array.from({ length: 40 }, (_, n) => [`a b/${n}`, contentOf(n + 1, sizes[n % sizes.length] ?? 0)]),
  );
  const kept = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "max-age=3600, public",
    "vitrine-meta-owner": "me",
    "content-language": "de",
  };
  await inParallel([...contents.keys()], 4, async (key) => {
    const answer = await put(near, key, contents.get(key) ?? new Uint8Array(), kept);
    checks.equal(`PUT ${key}`, { actual: answer.status, expected: 201 });
  });

  const isSame = async (peer: Peer, title: string, prefix: string): Promise<void> => {
    await inParallel([...contents.keys()], 4, async (key) => {
      const answer = await get(peer, prefix + key);
      const first = await get(near, key);
      const isRight = answer.status === 200 && Buffer.compare(answer.body, contents.get(key) ?? new Uint8Array()) === 0;
      checks.that(`${title}: ${key}`, isRight, () => `${answer.status}, ${answer.body.length} bytes`);
      for (const name of ["etag", ...Object.keys(kept)]) {
        const expected = first.headers.get(name);
        checks.equal(`${title}: ${name} of ${key}`, { actual: answer.headers.get(name), expected });
      }
    });
  };
  await isSame(central, "the central server has what the near one stored", PREFIX);
  await isSame(lazy, "the other near server serves it", "");

  // What the central server gets from its own clients.
  const large = contentOf(77, 12_000_000);
  await put(central, `${PREFIX}own`, large, kept);
  const own = await get(near, "own");
  checks.that("near serves what the central one stored", Buffer.compare(own.body, large) === 0);
  const range = await near.client.request({
    method: "GET",
    path: objectPath("own"),
    headers: { range: "bytes=5000000-8999999" },
  });
  checks.equal("status of a range", { actual: range.status, expected: 206 });
  checks.that("a range has its bytes", Buffer.compare(range.body, large.subarray(5_000_000, 9_000_000)) === 0);

  // Conditions are decided by the central server.
  const etag = own.headers.get("etag") ?? "";
  const created = await put(near, "own", large, { "if-none-match": "*" });
  checks.equal("create-only of what is there", { actual: created.status, expected: 412 });
  checks.equal("If-Match with the central server's entity tag", {
    actual: (await put(near, "own", contentOf(78, 100), { "if-match": etag })).status,
    expected: 200,
  });
  checks.equal("If-Match with an old entity tag", {
    actual: (await put(central, `${PREFIX}own`, large, { "if-match": etag })).status,
    expected: 412,
  });
  const strict = await start(run, { ...nearFlags, write: "through" });
  await inParallel(Array.from({ length: 40 }, (_, n) => n), 8, async (n) => {
    const racers = [near, strict].map((peer) => put(peer, `race ${n}`, contentOf(n, 2000), { "if-none-match": "*" }));
    const statuses = (await Promise.all(racers)).map(({ status }) => status).toSorted((one, other) => one - other);
    checks.equal(`two create race ${n}`, { actual: statuses.join(), expected: "201,412" });
  });

  // Misses say what the central server knows.
  const { host, port: service } = near.server.address;
  await put(central, `${PREFIX}deleted`, contentOf(1, 10));
  await central.client.request({ method: "DELETE", path: objectPath(`${PREFIX}deleted`) });
  for (const [key, reason] of [["deleted", "deleted"], ["never", "never_stored"]] as const) {
    const miss = await get(near, key);
    const status = miss.headers.get("cache-status");
    checks.equal(`miss of ${key}`, { actual: status, expected: `vitrine; fwd=miss; detail=${reason}` });
    const explained = await (await fetch(`http://${host}:${service}${objectPath(key)}?explain=1`)).text();
    checks.that(
      `explanation of ${key}`,
      explained.includes(`{"tier":"http","result":"miss","reason":"${reason}"`),
      () => explained,
    );
  }

  // One side's calls are the other side's requests.
  await untilStored(lazy.client, timeoutMs);
  const nears = await Promise.all([near, lazy, strict].map(pageOf));
  const calls = (op: string) => nears.reduce((sum, page) => sum + page.sum("vitrine_l2_requests_total", { op }), 0);
  const route = "/v1/tier/objects/{key}";
  const requests = async (method: string) =>
    (await pageOf(central)).sum("http_server_request_duration_seconds_count", {
      http_request_method: method,
      http_route: route,
    });
  checks.equal("stores of the near servers", { actual: await requests("PUT"), expected: calls("store") });
  const stored = nears.reduce((sum, page) => sum + page.sum("vitrine_l2_bytes_total", { op: "store" }), 0);
  checks.that("bytes stored by the near servers", stored > 0);

  // The central server is stopped.
  await put(near, "resident", contentOf(5, 1000));
  await get(near, "resident");
  process.kill(central.server.pid, "SIGSTOP");
  const stopMs = performance.now();
  let slowestMs = 0;
  // Without the ledger: an error has no Cache-Status that it could read.
  const failing = fetch(`http://${host}:${service}${objectPath("not in l1")}`).then(async (response) => {
    return { status: response.status, text: await response.text(), ms: performance.now() - stopMs };
  });
  while (performance.now() - stopMs < PAUSE_MS) {
    const startMs = performance.now();
    const { status, headers } = await get(near, "resident");
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    const isHit = status === 200 && headers.get("cache-status")?.includes("detail=l1") === true;
    checks.that("L1 goes on while the central server is stopped", isHit, () => `${status}`);
    await wait(20);
  }
  const failed = await failing;
  checks.equal("a read that needs the central server", { actual: failed.status, expected: 503 });
  checks.that("the error says what failed", failed.text.includes("/problems/tier-failed"), () => failed.text);
  checks.that("the error comes in time", failed.ms < ERROR_MS, () => `${failed.ms} ms`);
  checks.that("hits do not wait", slowestMs < 1000, () => `${slowestMs} ms`);
  process.kill(central.server.pid, "SIGCONT");
  const back = await until(() => failedOr(get(near, "goes on")), (status) => status === 404, { timeoutMs });
  checks.equal("the near server recovers by itself", { actual: back, expected: 404 });
  const ready = async (peer: Peer) => {
    const { host, port: admin } = peer.server.adminAddress;
    return (await fetch(`http://${host}:${admin}/readyz`)).status;
  };
  checks.equal("it is ready again", {
    actual: await until(() => ready(near), (status) => status === 200, { timeoutMs }),
    expected: 200,
  });

  // The central server is killed, and comes back.
  await central.server.kill();
  central.client.close();
  checks.equal("PUT through without the central server", {
    actual: await failedOr(put(near, "while down", contentOf(6, 100))),
    expected: 503,
  });
  const later = Array.from({ length: 20 }, (_, n) => `later/${n}`);
  for (const [n, key] of later.entries()) {
    contents.set(key, contentOf(1000 + n, sizes[n % 4] ?? 0));
    const { status } = await put(lazy, key, contents.get(key) ?? new Uint8Array(), kept);
    checks.equal(`PUT back without the central server: ${key}`, { actual: status, expected: 201 });
  }
  checks.equal("L1 goes on without the central server", {
    actual: (await get(near, "resident")).status,
    expected: 200,
  });
  central = await start(run, centralFlags);
  for (const peer of [near, lazy, strict]) {
    const status = await until(() => ready(peer), (now) => now === 200, { timeoutMs });
    checks.equal("ready after the central server is back", { actual: status, expected: 200 });
  }
  await untilStored(lazy.client, timeoutMs);
  await isSame(central, "the central server has all that was acknowledged", PREFIX);

  for (const { server, client } of [near, lazy, strict, central]) {
    client.close();
    checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
  }
}
