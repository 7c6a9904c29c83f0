import { afterAll, expect, test } from "bun:test";
import { type RunningCluster, startCluster } from "../../src/compose/cluster.ts";
import { nextTurn } from "../../src/core/clock.ts";
import { RawSocket } from "../http/raw_socket.ts";
import { parsePrometheusText } from "../support/prometheus_text.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const errors: unknown[] = [];
const running: RunningCluster[] = [];

async function start(...args: readonly string[]): Promise<RunningCluster> {
  const cluster = await startCluster(
    serverOptions([...TWO_WORKERS, "--l1-size", "8MiB", "--l2", "none", "--log-level", "error", ...args], { errors }),
  );
  running.push(cluster);
  return cluster;
}

afterAll(async () => {
  for (const cluster of running) await cluster.stop();
});

/** The status of a request on a connection of its own, so that the kernel picks the worker anew. */
async function ask(cluster: RunningCluster, path: string): Promise<number> {
  const { status, body } = await fetch(`http://127.0.0.1:${cluster.address.port}${path}`, {
    headers: { connection: "close" },
  });
  await body?.cancel();
  return status;
}

/** Begins a PUT of one byte on a connection of its own; its answer comes after the byte. */
async function begin(cluster: RunningCluster): Promise<RawSocket> {
  const socket = new RawSocket(cluster.address.port);
  socket.write("PUT /v1/objects/k HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n");
  expect((await socket.head()).status).toBe(100);
  return socket;
}

/** Waits until the workers have this many requests in progress: the answer 100 comes before they have them. */
async function untilActive(cluster: RunningCluster, count: number): Promise<void> {
  const active = () => cluster.supervisor.status().reduce((sum, { activeRequests }) => sum + activeRequests, 0);
  while (active() !== count) await nextTurn();
}

async function reached(cluster: RunningCluster, limit: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${cluster.adminAddress.port}/metrics`)).text();
  return parsePrometheusText(text)
    .find(({ name, labels }) => name === "vitrine_limits_reached_total" && labels["limit"] === limit)?.value;
}

test("requests in progress are counted over all workers, and forgotten with a worker that dies", async () => {
  const cluster = await start("--max-requests", "4");
  const sockets: RawSocket[] = [];
  for (let i = 0; i < 4; i++) sockets.push(await begin(cluster));
  await untilActive(cluster, 4);
  // A worker counts a request as active just before it counts it for the limit.
  while (await ask(cluster, "/v1/objects/k") !== 503) await nextTurn();
  for (let i = 1; i < 8; i++) expect(await ask(cluster, "/v1/objects/k")).toBe(503);
  expect(await ask(cluster, "/healthz")).toBe(200);
  expect(await reached(cluster, "requests")).toBe(8);
  for (const socket of sockets.splice(0)) {
    expect((await socket.write("x").response()).status).toBeLessThan(300);
    socket.destroy();
  }
  await untilActive(cluster, 0);
  expect(await ask(cluster, "/v1/objects/k")).toBe(200);
  await untilActive(cluster, 0);
  for (let i = 0; i < 4; i++) sockets.push(await begin(cluster));
  await untilActive(cluster, 4);
  for (const { slot } of cluster.supervisor.status()) await cluster.supervisor.kill(slot);
  // Until their replacements listen, connections are refused.
  while (await ask(cluster, "/v1/objects/k").catch(() => 0) !== 200) await nextTurn();
  for (const socket of sockets) socket.destroy();
});

test("a tenant's requests of a second are counted over all workers, and no more are let in", async () => {
  const rate = 5;
  const cluster = await start("--tenant-rate", String(rate));
  const beganMs = performance.now();
  const statuses = await Promise.all(Array.from({ length: 60 }, () => ask(cluster, "/v1/objects/k")));
  const seconds = Math.floor((performance.now() - beganMs) / 1000) + 2;
  const admitted = statuses.filter((status) => status === 404).length;
  expect(statuses.every((status) => status === 404 || status === 429)).toBe(true);
  expect([admitted >= rate, admitted <= rate * seconds]).toEqual([true, true]);
  expect(await reached(cluster, "tenant_rate")).toBe(60 - admitted);
  expect(errors).toEqual([]);
});
