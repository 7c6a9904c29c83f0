import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningCluster, startCluster } from "../../src/compose/cluster.ts";
import { startSingle } from "../../src/compose/single.ts";
import { parsePrometheusText } from "../support/prometheus_text.ts";
import { until } from "../support/until.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const KIB = 1024;
const folder = mkdtempSync(join(tmpdir(), "vitrine-quotas-"));
const errors: unknown[] = [];
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quiet = ["--l1-size", "8MiB", "--log-level", "error"];

type Server = Pick<RunningCluster, "address">;

/** A connection of its own each time, so that the kernel picks the worker anew. */
async function ask(server: Server, target: string, tenant = "", body?: BodyInit) {
  const [method = "", path = ""] = target.split(" ");
  const answer = await fetch(`http://127.0.0.1:${server.address.port}${path}`, {
    method,
    headers: { connection: "close", "vitrine-tenant": tenant },
    ...(body === undefined ? {} : { body }),
  });
  return { status: answer.status, text: await answer.text() };
}

async function setQuota(server: Server, tenant: string, quota: object): Promise<number> {
  return (await ask(server, `PUT /v1/tenants/${tenant}/quota`, "", JSON.stringify(quota))).status;
}

async function quotaOf(server: Server, tenant: string) {
  const { status, text } = await ask(server, `GET /v1/tenants/${tenant}/quota`);
  return status === 200 ? JSON.parse(text) : undefined;
}

/** How many of a tenant's objects are in L1. */
async function inL1(server: Server, tenant: string): Promise<number> {
  const { text } = await ask(server, "GET /v1/objects?tier=l1&limit=1000", tenant);
  return JSON.parse(text).objects.length;
}

async function put(server: Server, tenant: string, key: string, bytes: number): Promise<number> {
  return (await ask(server, `PUT /v1/objects/${key}`, tenant, new Uint8Array(bytes))).status;
}

const starts = {
  "two workers": async (...args: readonly string[]) =>
    await startCluster(serverOptions([...TWO_WORKERS, ...quiet, ...args], { errors })),
  "one isolate": async (...args: readonly string[]) =>
    await startSingle(serverOptions(["--port", "0", ...quiet, ...args], { errors })),
};

for (const [name, start] of Object.entries(starts)) {
  test(`${name}: a tenant that floods L1 does not evict a quiet one below its quota`, async () => {
    const server = await start("--l2", "none");
    expect(await setQuota(server, "quiet", { limit_bytes: 2048 * KIB })).toBe(200);
    for (let i = 0; i < 20; i++) expect(await put(server, "quiet", `k${i}`, 50 * KIB)).toBe(201);
    const used = (await quotaOf(server, "quiet")).used_bytes;
    // Four times L1, in small and large objects.
    for (let i = 0; i < 80; i++) {
      const keys = Array.from({ length: 4 }, (_, n) => `flood-${4 * i + n}`);
      const statuses = await Promise.all(
        keys.map((key) => put(server, "loud", key, i % 2 === 0 ? 10 * KIB : 190 * KIB)),
      );
      expect(statuses).toEqual([201, 201, 201, 201]);
    }
    expect([await inL1(server, "quiet"), (await quotaOf(server, "quiet")).used_bytes]).toEqual([20, used]);
    expect(await inL1(server, "loud")).toBeLessThan(200);
    // A quota of its own makes the loud one give way to itself.
    expect(await setQuota(server, "loud", { limit_bytes: 1024 * KIB })).toBe(200);
    expect((await quotaOf(server, "loud")).over).toBe(true);
    for (let i = 0; i < 150; i++) expect(await put(server, "third", `k${i}`, 50 * KIB)).toBe(201);
    expect((await quotaOf(server, "loud")).over).toBe(false);
    expect(await inL1(server, "quiet")).toBe(20);
    await server.stop();
    expect(errors).toEqual([]);
  });
}

test("a strict quota set through one worker is enforced by all, exactly, until a delete makes room", async () => {
  const server = await starts["two workers"]("--l2", "none");
  expect(await setQuota(server, "a", { limit_bytes: 1000 * KIB, strict: true })).toBe(200);
  const statuses = await Promise.all(Array.from({ length: 60 }, (_, i) => put(server, "a", `k${i}`, 40 * KIB)));
  const stored = statuses.filter((status) => status === 201).length;
  expect(new Set(statuses)).toEqual(new Set([201, 507]));
  // Uploads in progress count too, so that fewer than 24 may have been stored.
  expect(stored).toBeLessThanOrEqual(24);
  for (let i = 0; i < 60; i++) await put(server, "a", `k${i}`, 40 * KIB);
  const quota = await quotaOf(server, "a");
  // 40 KiB, and key, tenant, headers and tag in front of them, in steps of 64 bytes.
  const objects = await inL1(server, "a");
  expect(quota.used_bytes).toBeGreaterThan(objects * 40 * KIB);
  expect(quota.used_bytes).toBeLessThan(objects * 40.5 * KIB);
  expect(quota.used_bytes).toBeLessThanOrEqual(1000 * KIB);
  const refused = await ask(server, "PUT /v1/objects/more", "a", new Uint8Array(60 * KIB));
  expect([refused.status, JSON.parse(refused.text).type]).toEqual([507, "/problems/over-quota"]);
  expect((await ask(server, "PUT /s3/b/more", "a", new Uint8Array(60 * KIB))).text).toContain("<Code>QuotaExceeded<");
  const { text } = await ask(server, "GET /metrics");
  const sampleOf = (name: string) =>
    parsePrometheusText(text).find(({ name: each, labels }) => each === name && labels["cache_salt"] === "a")?.value;
  expect([sampleOf("vitrine_quota_used_bytes"), sampleOf("vitrine_quota_limit_bytes")]).toEqual([
    quota.used_bytes,
    1000 * KIB,
  ]);
  expect(sampleOf("vitrine_quota_refused_objects_total")).toBeGreaterThan(0);
  expect(await put(server, "b", "k", 40 * KIB)).toBe(201);
  expect((await ask(server, "DELETE /v1/objects?clear=all", "a")).status).toBe(200);
  expect((await quotaOf(server, "a")).used_bytes).toBe(0);
  expect(await put(server, "a", "k", 40 * KIB)).toBe(201);
  await server.stop();
});

test("quotas are kept over a restart in the folder of the file tier, or in the file that is set", async () => {
  const kept = join(folder, "own.json");
  for (const args of [["--l2", `file://${folder}/tier`], ["--l2", "none", "--quotas-file", kept]]) {
    const first = await starts["two workers"](...args);
    expect(await setQuota(first, "a", { limit_bytes: 100 * KIB, strict: true })).toBe(200);
    expect(await setQuota(first, "b", { limit_bytes: 7 })).toBe(200);
    expect((await ask(first, "DELETE /v1/tenants/b/quota")).status).toBe(204);
    await first.stop();
    const second = await starts["one isolate"](...args);
    expect([await quotaOf(second, "a"), await quotaOf(second, "b")]).toEqual([
      { tenant: "a", limit_bytes: 100 * KIB, strict: true, used_bytes: 0, over: false, kept: true },
      undefined,
    ]);
    expect(await put(second, "a", "k", 101 * KIB)).toBe(507);
    await second.stop();
  }
  const without = await starts["one isolate"]("--l2", `file://${folder}/tier`, "--quotas-file", "none");
  expect(await quotaOf(without, "a")).toBeUndefined();
  expect(await setQuota(without, "a", { limit_bytes: 1 })).toBe(200);
  expect((await quotaOf(without, "a")).kept).toBe(false);
  await without.stop();
});

test("quotas and their sums stay right when a worker is killed", async () => {
  const server = await starts["two workers"]("--l2", "none");
  expect(await setQuota(server, "a", { limit_bytes: 3000 * KIB })).toBe(200);
  const storing = Array.from({ length: 40 }, (_, i) => put(server, "a", `k${i}`, 50 * KIB).catch(() => 0));
  const killing = server.supervisor.kill(0);
  await Promise.all([killing, ...storing]);
  await until(() => server.supervisor.status().filter(({ state }) => state === "ready").length === 2);
  await until(async () => JSON.parse((await ask(server, "GET /status")).text).l1.writeLeases === 0);
  const objects = await inL1(server, "a");
  const { used_bytes } = await quotaOf(server, "a");
  const { l1, quotas } = JSON.parse((await ask(server, "GET /status")).text);
  expect(objects).toBeGreaterThan(0);
  expect([l1.usedBytes, quotas]).toEqual([
    used_bytes,
    [{ tenant: "a", limitBytes: 3000 * KIB, isStrict: false, usedBytes: used_bytes }],
  ]);
  await server.stop();
});
