import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunningServer } from "../../src/compose/server.ts";
import { startSingle } from "../../src/compose/single.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { contractFor } from "../http/contract.ts";
import { pattern } from "../http/contract_client.ts";
import { parsePrometheusText } from "../support/prometheus_text.ts";
import { serverOptions } from "./server_options.ts";

const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), "vitrine-server-"));
const errors: unknown[] = [];
const { copyLimitBytes } = currentRuntime().createSender({ idleTimeoutSeconds: 60 });
let started = 0;

function start(...args: readonly string[]): Promise<RunningServer> {
  started++;
  const tier = `file://${folder}/${started}`;
  return startSingle(serverOptions(["--port", "0", "--l1-size", "32MiB", "--l2", tier, ...args], { errors }));
}

const back = await start("--max-object", "6MiB");
const through = await start("--max-object", "6MiB", "--write", "through");
const servers = [back, through];

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

for (const [name, server] of [["back", back], ["through", through]] as const) {
  const fetchFrom = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.address.port}${path}`, init);
  const limits = { maxObjectBytes: 6 * MIB, l1LimitBytes: 4 * MIB, copyLimitBytes };
  for (const { name: sentence, run } of contractFor({ limits, overSockets: true, fetch: fetchFrom })) {
    test(`write ${name}: ${sentence}`, run);
  }
}

test("startSingle leaves no lease and no error when the contract has run", async () => {
  for (const server of servers) {
    const status = await (await fetch(`http://127.0.0.1:${server.address.port}/status`)).json();
    expect([status.l1.readLeases, status.l1.writeLeases, status.l1.stagingBytes]).toEqual([
      status.storeQueue.entries,
      0,
      0,
    ]);
  }
  expect(errors).toEqual([]);
});

test("startSingle counts in /metrics what a client did when the scrape comes right after it", async () => {
  const server = await start();
  const url = `http://127.0.0.1:${server.address.port}`;
  await fetch(`${url}/v1/objects/a`, { method: "PUT", body: pattern(1000) });
  for (const path of ["a", "a", "b"]) await (await fetch(`${url}/v1/objects/${path}`)).arrayBuffer();
  const samples = parsePrometheusText(await (await fetch(`${url}/metrics`)).text());
  const counters = [
    ["lmcache_mp_l1_write_keys_total", {}],
    ["lmcache_mp_sm_read_requests_total", {}],
    ["lmcache_mp_sm_read_succeed_keys_total", {}],
    ["lmcache_mp_sm_read_failed_keys_total", {}],
    ["lmcache_mp_sm_write_requests_total", {}],
    ["vitrine_lookups_total", { tier: "l1", result: "hit" }],
    ["vitrine_lookups_total", { tier: "none", result: "miss" }],
    ["http_server_request_duration_seconds_count", { http_request_method: "GET", http_response_status_code: "404" }],
  ] as const;
  const total = (name: string, labels: Readonly<Record<string, string>>) =>
    samples.filter((sample) => sample.name === name)
      .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
      .reduce((sum, { value }) => sum + value, 0);
  expect(counters.map(([name, labels]) => total(name, labels))).toEqual([1, 3, 2, 1, 1, 2, 1, 1]);
  await server.stop();
});
