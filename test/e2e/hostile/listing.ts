import * as v from "valibot";
import { inParallel } from "../support/in_parallel.ts";
import { Client } from "../support/http/client.ts";
import { listObjects } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import type { HostileCase } from "./hostile_case.ts";

const OBJECTS = 60_000;
const LISTINGS = 32;
const SECONDS = 3;

const statusSchema = v.object({ worker_restarts: v.number() });
const pageSchema = v.object({ objects: v.array(v.object({ key: v.string() })) });
const removedSchema = v.object({ removed: v.object({ l1: v.number() }) });

/**
 * 60 000 objects in L1, 32 listings at once, then all cleared: other requests go on, and no worker is taken for hung.
 */
export const listingCase: HostileCase = {
  name: "listing",
  async run({ runtime, checks }: SuiteRun) {
    const flags = {
      workers: "2",
      l2: "none",
      "l1-size": "128MiB",
      "l1-max-objects": "131072",
      "worker-timeout": "750ms",
    };
    const server = await ServerProcess.start({ runtime, flags });
    const client = new Client(server.address, { record: () => {} });
    const admin = new Client(server.adminAddress, { record: () => {} });
    try {
      await fill(client);
      const listed = await whileOthersWork(client, checks, async (isOver) => {
        const listings = Array.from({ length: LISTINGS }, async (_, i) => {
          const headers: Record<string, string> = i % 2 === 0 ? {} : { "vitrine-tenant": `nobody-${i}` };
          let pages = 0;
          for (; !isOver(); pages += 1) {
            const path = `/v1/objects?limit=1&prefix=${i % 4 === 0 ? "k" : ""}`;
            const { status, body } = await client.request({ method: "GET", path, headers });
            const keys = status === 200 ? pageOf(body) : [String(status)];
            checks.equal("a page", { actual: keys, expected: i % 2 === 0 ? ["k000000"] : [] });
          }
          return pages;
        });
        return (await Promise.all(listings)).reduce((sum, pages) => sum + pages, 0);
      });
      checks.that("listings are answered", listed >= LISTINGS, () => `${listed} pages`);
      const sizes = await listObjects(client, "l1");
      const mine = [...sizes.keys()].filter((key) => key.startsWith("k"));
      checks.equal("objects listed", { actual: mine.length, expected: OBJECTS });
      checks.that("in order", mine.every((key, i) => i === 0 || key > (mine[i - 1] ?? "")));
      const removed = await whileOthersWork(client, checks, async () => {
        const { status, body } = await client.request({ method: "DELETE", path: "/v1/objects?clear=all" });
        checks.equal("clear", { actual: status, expected: 200 });
        return v.parse(removedSchema, JSON.parse(new TextDecoder().decode(body))).removed.l1;
      });
      checks.that("all are cleared", removed >= OBJECTS, () => String(removed));
      const { body } = await admin.request({ method: "GET", path: "/status" });
      const restarts = v.parse(statusSchema, JSON.parse(new TextDecoder().decode(body))).worker_restarts;
      checks.equal("no worker is replaced", { actual: restarts, expected: 0 });
      console.log(`listing: ${listed} pages in ${SECONDS} s`);
    } finally {
      client.close();
      admin.close();
      await server.kill();
    }
  },
};

async function fill(client: Client): Promise<void> {
  await inParallel(Array(OBJECTS).keys(), 32, async (i) => {
    const path = `/v1/objects/k${String(i).padStart(6, "0")}`;
    const { status } = await client.request({ method: "PUT", path, body: new Uint8Array(100) });
    if (status !== 201) throw new Error(`PUT ${path}: ${status}`);
  });
}

/**
 * Runs `work` for some seconds, or until it ends, while eight others read and write in a tenant of their own; all of
 * that must succeed.
 */
async function whileOthersWork<T>(
  client: Client,
  checks: SuiteRun["checks"],
  work: (isOver: () => boolean) => Promise<T>,
): Promise<T> {
  const endMs = performance.now() + SECONDS * 1000;
  const done = new AbortController();
  const statuses = new Map<number | string, number>();
  const others = inParallel(Array(8).keys(), 8, async (number) => {
    const object = { path: `/v1/objects/own-${number}`, headers: { "vitrine-tenant": "other" } };
    while (!done.signal.aborted) {
      for (const request of [{ method: "PUT", body: new Uint8Array(100) }, { method: "GET" }]) {
        const status = await client.request({ ...object, ...request }).then((answer) => answer.status, String);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }
  });
  try {
    return await work(() => performance.now() > endMs);
  } finally {
    done.abort();
    await others;
    const isGood = [...statuses.keys()].every((status) => status === 200 || status === 201 || status === 404);
    checks.that("others are answered", isGood && statuses.size > 0, () => JSON.stringify([...statuses]));
    console.log(`listing: others were answered ${JSON.stringify([...statuses])}`);
  }
}

function pageOf(body: Uint8Array): readonly string[] {
  return v.parse(pageSchema, JSON.parse(new TextDecoder().decode(body))).objects.map(({ key }) => key);
}
