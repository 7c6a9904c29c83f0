import * as v from "valibot";
import type { Client } from "./http/client.ts";
import { until } from "./until.ts";

const statusSchema = v.object({
  l1: v.object({ readLeases: v.number(), writeLeases: v.number(), stagingBytes: v.number() }),
  storeQueue: v.object({ entries: v.number(), inFlight: v.number() }),
});
const listSchema = v.object({
  objects: v.array(v.object({ key: v.string(), size_bytes: v.number() })),
  next_cursor: v.optional(v.string()),
});

async function getJson(client: Client, path: string): Promise<unknown> {
  const { status, body } = await client.request({ method: "GET", path });
  const text = new TextDecoder().decode(body);
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
  return JSON.parse(text);
}

/** The part of /status that the suites look at. */
export async function readStatus(client: Client): Promise<v.InferOutput<typeof statusSchema>> {
  return v.parse(statusSchema, await getJson(client, "/status"));
}

/** Waits until nothing is left to store; throws after `timeoutMs`. */
export async function untilStored(client: Client, timeoutMs: number): Promise<void> {
  const isEmpty = ({ storeQueue }: Awaited<ReturnType<typeof readStatus>>) =>
    storeQueue.entries + storeQueue.inFlight === 0;
  const { storeQueue } = await until(() => readStatus(client), isEmpty, { timeoutMs });
  if (storeQueue.entries + storeQueue.inFlight > 0) {
    throw new Error(`store queue: not empty after ${timeoutMs} ms: ${JSON.stringify(storeQueue)}`);
  }
}

/** Size in bytes by key of everything a tier lists ("" for all tiers), page by page. Throws if a key comes twice. */
export async function listObjects(client: Client, tier: string): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  const query = new URLSearchParams({ limit: "1000", ...(tier && { tier }) });
  for (let more = true; more;) {
    const page = v.parse(listSchema, await getJson(client, `/v1/objects?${query}`));
    for (const { key, size_bytes: sizeBytes } of page.objects) {
      if (sizes.has(key)) throw new Error(`listing: a key twice: ${key}`);
      sizes.set(key, sizeBytes);
    }
    more = page.next_cursor !== undefined;
    query.set("cursor", page.next_cursor ?? "");
  }
  return sizes;
}
