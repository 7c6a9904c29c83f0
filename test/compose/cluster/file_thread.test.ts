import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningCluster, startCluster } from "../../../src/compose/cluster.ts";
import type { RunningServer, ServerOptions } from "../../../src/compose/server.ts";
import { startSingle } from "../../../src/compose/single.ts";
import { foldersApart } from "../../../src/l2/mod.ts";
import { pattern } from "../../http/contract_client.ts";
import { until } from "../../support/until.ts";
import { serverOptions, TWO_WORKERS } from "../server_options.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-file-thread-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A tier of another kind: nobody listens there, so every call of it fails. */
const ELSEWHERE = "redis://127.0.0.1:1";

function options(name: string, args: readonly string[]): ServerOptions {
  const tiers = `file://${folder}/${name},${ELSEWHERE}`;
  return serverOptions([...TWO_WORKERS, "--observability", "off", "--l1-size", "32MiB", "--l2", tiers, ...args]);
}

function start(name: string, ...args: readonly string[]): Promise<RunningCluster> {
  return startCluster(options(name, args));
}

/** One thread over the same tiers, to see what is in them: it starts in a fifth of the time. */
function startOneThread(name: string): Promise<RunningServer> {
  return startSingle(options(name, ["--workers", "1"]));
}

function visit(
  { address: { port } }: Pick<RunningServer, "address">,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { connection: "close" } });
}

/** Resolves once a thread that was killed so many times is there again. A kill takes a while to arrive. */
function ready(thread: { status(): { readonly state: string; readonly restarts: number } }, kills: number) {
  return until(() => thread.status().restarts >= kills && thread.status().state === "ready");
}

test("foldersApart is true for the folders of file tiers beside tiers of another kind, and only then", () => {
  expect(foldersApart(["file:///a", ELSEWHERE, "file:///b"])).toEqual([true, false, true]);
  expect(foldersApart(["file:///a", "file:///b"])).toEqual([false, false]);
  expect(foldersApart([ELSEWHERE])).toEqual([false]);
  expect(foldersApart(["memory:"])).toEqual([false]);
  expect(foldersApart([])).toEqual([]);
});

test("startCluster fails when the file thread cannot open its folder", async () => {
  await expect(start("x", "--workers", "1", "--l2", `file:///proc/nowhere,${ELSEWHERE}`)).rejects.toThrow(
    "/proc/nowhere",
  );
});

for (const doomed of ["fileThread", "storageThread"] as const) {
  test(
    `startCluster stores what was acknowledged when the ${doomed} dies again and again, the last time in a stop`,
    async () => {
      const cluster = await start(doomed);
      const thread = cluster[doomed];
      const other = doomed === "fileThread" ? cluster.storageThread : cluster.fileThread;
      if (thread === undefined || other === undefined) throw new Error("there is no such thread");
      const keys = Array.from({ length: 24 }, (_, i) => ({ key: `k${i}`, sizeBytes: i % 10 === 0 ? 300_000 : 5000 }));
      let kills = 0;
      for (const [i, { key, sizeBytes }] of keys.entries()) {
        const body = pattern(sizeBytes);
        expect((await visit(cluster, `/v1/objects/${key}`, { method: "PUT", body })).status).toBe(201);
        if (i % 8 !== 4) continue;
        await ready(thread, kills);
        void thread.kill();
        kills += 1;
      }
      await ready(thread, kills);
      // The workers have lines to the new one, and nothing that it stored is lost.
      await visit(cluster, "/v1/objects?clear=all&tier=l1", { method: "DELETE" });
      for (const { key, sizeBytes } of keys.slice(0, 8)) {
        const { byteLength } = await (await visit(cluster, `/v1/objects/${key}`)).arrayBuffer();
        expect([key, byteLength]).toEqual([key, sizeBytes]);
      }
      const stopping = cluster.stop();
      void thread.kill();
      expect(await stopping).toMatchObject({ refused: 0, dirty: { objects: 0 }, failures: [] });
      expect(thread.status().restarts).toBeGreaterThanOrEqual(3);
      expect(other.status().restarts).toBe(0);
      const again = await startOneThread(doomed);
      for (const { key, sizeBytes } of keys) {
        const { byteLength } = await (await visit(again, `/v1/objects/${key}`)).arrayBuffer();
        expect([key, byteLength]).toEqual([key, sizeBytes]);
      }
      await again.stop();
    },
  );
}

test("startCluster reports on every tier in the order of the settings, whichever thread has it", async () => {
  const cluster = await start("x", "--workers", "1", "--l2", `${ELSEWHERE},file://${folder}/reports`);
  await visit(cluster, "/v1/objects/a", { method: "PUT", body: pattern(1000) });
  const tiers = async () => {
    const status = await (await fetch(`http://127.0.0.1:${cluster.adminAddress.port}/status`)).json();
    return status.l2.map(({ tier, objects }: { readonly tier: string; readonly objects?: number }) => [tier, objects]);
  };
  await until(async () => (await tiers())[1]?.[1] === 1);
  expect(await tiers()).toEqual([["redis", undefined], ["fs", 1]]);
  await cluster.stop();
});
