import { afterAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type RunningCluster, startCluster } from "../../src/compose/cluster.ts";
import type { ServerOptions } from "../../src/compose/server.ts";
import { startSingle } from "../../src/compose/single.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { contractFor } from "../http/contract.ts";
import { pattern } from "../http/contract_client.ts";
import { RawSocket } from "../http/raw_socket.ts";
import { parsePrometheusText } from "../support/prometheus_text.ts";
import { until } from "../support/until.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), "vitrine-cluster-"));
const errors: unknown[] = [];
let started = 0;

function options(args: readonly string[]): ServerOptions {
  started++;
  const tier = `file://${folder}/${started}`;
  return serverOptions([...TWO_WORKERS, "--l1-size", "32MiB", "--l2", tier, ...args], { errors });
}

function start(...args: readonly string[]): Promise<RunningCluster> {
  return startCluster(options(args));
}

/** A connection of its own each time, so that the kernel picks the worker anew. */
function visit(port: number, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, {
    ...init,
    headers: { ...Object.fromEntries(new Headers(init.headers)), connection: "close" },
  });
}

const cluster = await start("--max-object", "6MiB");
const { port } = cluster.address;

afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

const { copyLimitBytes } = currentRuntime().createSender({ idleTimeoutSeconds: 60 });
const limits = { maxObjectBytes: 6 * MIB, l1LimitBytes: 4 * MIB, copyLimitBytes };
const overSockets = { overSockets: true, fetch: (path: string, init?: RequestInit) => visit(port, path, init) };
for (const { name, run } of contractFor({ limits, ...overSockets })) test(`two workers: ${name}`, run);

test("startCluster has no file thread where there are file tiers alone", () => {
  expect([cluster.storageThread?.status().state, cluster.fileThread]).toEqual(["ready", undefined]);
});

test("startCluster gives every port and worker the same numbers when nothing happens between the scrapes", async () => {
  const quiet = await start("--l2", "none");
  const { port: main } = quiet.address;
  for (const method of ["PUT", "PUT", "GET", "DELETE", "GET"]) {
    const body = method === "PUT" ? { body: pattern(1000) } : {};
    await (await visit(main, "/v1/objects/numbers", { method, ...body })).arrayBuffer();
  }
  const pages = [];
  for (const each of [main, quiet.adminAddress.port, main, main]) {
    const samples = parsePrometheusText(await (await visit(each, "/metrics")).text());
    pages.push(
      samples.filter(({ name }) =>
        /^(lmcache_mp_(l1_read|l1_write|l1_removed|sm|l2)_.*_total|vitrine_(lookups|written).*)$/.test(name)
      ),
    );
  }
  await quiet.stop();
  expect(pages[0]?.find(({ name }) => name === "lmcache_mp_sm_write_requests_total")?.value).toBe(2);
  for (const page of pages) expect(page).toEqual(pages[0] ?? []);
});

test("startCluster has small metrics when nobody has used it, a part of them on request, and less when compressed", async () => {
  const idle = await start("--l2", `file://${folder}/idle`);
  const bytesOf = async (query: string, coding: string) => {
    const socket = new RawSocket(idle.adminAddress.port);
    socket.write(`GET /metrics${query} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: ${coding}\r\n\r\n`);
    const { status, headers, body } = await socket.response();
    socket.destroy();
    expect([status, headers.get("content-encoding")]).toEqual([200, coding === "gzip" ? "gzip" : null]);
    const text = coding === "gzip" ? gunzipSync(body) : Buffer.from(body);
    expect(text.includes("\nvitrine_workers{")).toBe(true);
    return body.length;
  };
  const names = new URLSearchParams([["name[]", "vitrine_workers"], ["name[]", "no_such_metric"]]);
  const sizes = {
    all: await bytesOf("", "identity"),
    compressed: await bytesOf("", "gzip"),
    one: await bytesOf(`?${names}`, "identity"),
  };
  await idle.stop();
  expect(sizes.all).toBeLessThan(110_000);
  expect(sizes.compressed).toBeLessThan(12_000);
  expect(sizes.one).toBeLessThan(2000);
});

test("startCluster serves on, loses no dirty object and counts what was lost when a worker dies", async () => {
  const doomed = await start();
  const url = doomed.address.port;
  const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
  for (const key of keys) await (await visit(url, `/v1/objects/${key}`, { method: "PUT", body: pattern(5000) })).text();
  const begin = async () => {
    const body = JSON.stringify({ keys, mode: "full", lease: 600 });
    return await (await visit(url, "/v1/prefetch", { method: "POST", body })).json();
  };
  const jobs = await Promise.all(Array.from({ length: 8 }, begin));
  for (const slot of [0, 1, 0]) {
    const before = doomed.supervisor.status()[slot]?.workerId;
    await doomed.supervisor.kill(slot);
    await until(() =>
      doomed.supervisor.status().some((worker) =>
        worker.slot === slot && worker.workerId !== before && worker.state === "ready"
      )
    );
  }
  for (const { id } of jobs) {
    const job = await (await visit(url, `/v1/prefetch/${id}?wait=5`)).json();
    expect([job.state, job.lease]).toEqual(["stopped", undefined]);
  }
  await visit(url, "/v1/objects?clear=all&tier=l1", { method: "DELETE" });
  for (const key of keys) {
    const response = await visit(url, `/v1/objects/${key}`);
    expect([key, response.status, (await response.arrayBuffer()).byteLength]).toEqual([key, 200, 5000]);
  }
  const samples = parsePrometheusText(await (await visit(url, "/metrics")).text());
  const total = (name: string, state?: string) =>
    samples.filter((sample) => sample.name === name && (state === undefined || sample.labels["state"] === state))
      .reduce((sum, { value }) => sum + value, 0);
  const events = (state: string) => total("vitrine_eventbus_events_total", state);
  expect(events("published")).toBe(events("delivered") + events("rolled_up") + events("lost"));
  expect([total("vitrine_worker_restarts_total"), total("vitrine_workers", "ready")]).toEqual([3, 2]);
  const killed = samples.find(({ name, labels }) =>
    name === "vitrine_worker_restarts_total" && labels["cause"] === "killed"
  );
  expect(killed?.value).toBe(3);
  const status = await (await visit(doomed.adminAddress.port, "/status")).json();
  expect([status.worker_restarts, status.l1.readLeases, status.l1.writeLeases]).toEqual([3, 0, 0]);
  expect([status.l1.holds, total("vitrine_leased_objects"), total("vitrine_prefetch_jobs")]).toEqual([0, 0, 0]);
  await doomed.stop();
});

test(
  "startCluster stores what was acknowledged when the storage thread dies again and again, the last time in a stop",
  async () => {
    const tier = ["--l2", `file://${folder}/storage-thread`];
    const doomed = await start(...tier);
    const { port: url } = doomed.address;
    const { storageThread } = doomed;
    const keys = Array.from({ length: 120 }, (_, i) => `k${i}`);
    let kills = 0;
    for (const [i, key] of keys.entries()) {
      const body = pattern(i % 10 === 0 ? 300_000 : 5000);
      expect((await visit(url, `/v1/objects/${key}`, { method: "PUT", body })).status).toBe(201);
      if (i % 40 !== 20) continue;
      // Two kills of one thread would count once.
      await until(() => storageThread?.status().state === "ready" && storageThread.status().restarts >= kills);
      void storageThread?.kill();
      kills += 1;
    }
    const stopping = doomed.stop();
    void storageThread?.kill();
    expect(await stopping).toMatchObject({ refused: 0, dirty: { objects: 0 }, failures: [] });
    expect(storageThread?.status().restarts).toBeGreaterThanOrEqual(3);
    // One thread is enough to see what is stored.
    const again = await startSingle(options([...tier, "--workers", "1"]));
    for (const [i, key] of keys.entries()) {
      const body = await (await visit(again.address.port, `/v1/objects/${key}`)).arrayBuffer();
      expect([key, body.byteLength]).toEqual([key, i % 10 === 0 ? 300_000 : 5000]);
    }
    await again.stop();
  },
);

test("startCluster fails durable writes at once, or makes them, when the storage thread dies under them", async () => {
  const doomed = await start("--write", "through");
  const { port: url } = doomed.address;
  const { storageThread } = doomed;
  const written = new Map<string, readonly number[]>();
  const statuses = new Set<number>();
  const client = async (name: string): Promise<void> => {
    for (let n = 1; n <= 16; n += 1) {
      // Small ones are stored whole; the last is above what L1 admits, so that the worker streams it.
      const sizeBytes = n === 16 ? 5 * MIB : 2000 + n;
      const { status } = await visit(url, `/v1/objects/${name}`, { method: "PUT", body: pattern(sizeBytes) });
      statuses.add(status);
      // One that failed may have been made.
      written.set(name, status < 300 ? [sizeBytes] : [...written.get(name) ?? [], sizeBytes]);
      if (n === 8) void storageThread?.kill();
    }
  };
  await Promise.all(["a", "b", "c"].map(client));
  expect([...statuses].filter((status) => ![200, 201, 503].includes(status))).toEqual([]);
  for (const [name, sizes] of written) {
    const response = await visit(url, `/v1/objects/${name}`);
    const { byteLength } = await response.arrayBuffer();
    expect([name, response.status, sizes.includes(byteLength)]).toEqual([name, 200, true]);
  }
  expect(storageThread?.status().restarts).toBeGreaterThanOrEqual(1);
  expect(await doomed.stop()).toMatchObject({ dirty: { objects: 0 }, failures: [] });
});

test("startCluster starts nothing and says why when a port is taken or a tier cannot be opened", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const taken = typeof address === "object" && address !== null ? address.port : 0;
  await expect(start("--port", String(taken))).rejects.toThrow(/EADDRINUSE/);
  await expect(start("--admin-port", String(taken))).rejects.toThrow(/EADDRINUSE/);
  other.close();
  await expect(start("--l2", "file:///proc/nowhere")).rejects.toThrow();
  await expect(start("--l2", "gopher://x")).rejects.toThrow("unknown scheme");
});

test("startCluster reports no error when all of this has run", () => {
  expect(errors).toEqual([]);
});
