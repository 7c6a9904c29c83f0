import { expect, test } from "bun:test";
import type { RunningServer } from "../../src/compose/server.ts";
import { startSingle } from "../../src/compose/single.ts";
import { loadConfig } from "../../src/config.ts";
import { MetricsPage } from "../e2e/support/metrics_page.ts";

/** Runs a server over these tiers. */
async function withServer(l2: string, run: (server: RunningServer, base: string) => Promise<void>): Promise<void> {
  const loaded = loadConfig({
    args: ["--log-level", "error", "--port", "0", "--l1-size", "32MiB", "--l2", l2],
    env: {},
    readFile: () => undefined,
    memoryLimitBytes: 1024 ** 3,
    cpuCount: 1,
    version: "0.0.0-test",
  });
  if (!("config" in loaded)) throw new Error("no settings");
  const server = await startSingle({ config: loaded.config, version: "0.0.0-test", env: {}, reportError: () => {} });
  try {
    await run(server, `http://127.0.0.1:${server.address.port}`);
  } finally {
    await server.stop();
  }
}

async function metrics(base: string): Promise<MetricsPage> {
  return new MetricsPage(await (await fetch(`${base}/metrics`)).text());
}

/** Nothing listens there. */
const DOWN = "redis://127.0.0.1:1";

test("a read that a tier cannot answer is a 503 when the tier has no on_error", async () => {
  await withServer(DOWN, async (_server, base) => {
    for (const method of ["GET", "HEAD"]) expect((await fetch(`${base}/v1/objects/a`, { method })).status).toBe(503);
    const page = await metrics(base);
    expect(page.sum("vitrine_lookups_total", { result: "error" })).toBe(2);
    expect(page.sum("vitrine_lookups_total", { result: "miss" })).toBe(0);
  });
});

test("a read that a tier cannot answer is a miss when the tier has on_error=miss, and the tier's error counts", async () => {
  await withServer(`${DOWN}?on_error=miss`, async (_server, base) => {
    for (const method of ["GET", "HEAD"]) {
      const response = await fetch(`${base}/v1/objects/a`, { method });
      expect([response.status, response.headers.get("cache-status")]).toEqual([
        404,
        "vitrine; fwd=miss; detail=tier_failed",
      ]);
      if (method === "GET") expect((await response.json()).reason).toBe("tier_failed");
    }
    const explained = await (await fetch(`${base}/v1/objects/a?explain=1`)).json();
    expect([explained.result, explained.reason]).toEqual(["miss", "tier_failed"]);
    expect(explained.tried[1]).toMatchObject({ tier: "redis", result: "error", reason: "tier_failed" });
    const page = await metrics(base);
    expect(page.sum("vitrine_lookup_misses_total", { reason: "tier_failed" })).toBe(2);
    expect(page.sum("vitrine_lookups_total", { result: "error" })).toBe(0);
    expect(page.sum("vitrine_l2_requests_total", { tier: "redis", op: "lookup", outcome: "error" })).toBe(3);
  });
});

test("a write is not told that a key is free when a tier with on_error=miss cannot say so", async () => {
  await withServer(`${DOWN}?on_error=miss`, async (_server, base) => {
    const put = { method: "PUT", body: "x" };
    const create = await fetch(`${base}/v1/objects/b`, { ...put, headers: { "if-match": '"1"' } });
    expect(create.status).toBe(503);
    expect((await fetch(`${base}/v1/objects/a`, put)).status).toBe(201);
    expect(await (await fetch(`${base}/v1/objects/a`)).text()).toBe("x");
    expect((await fetch(`${base}/v1/objects/gone`, { method: "DELETE" })).status).toBe(503);
  });
});
