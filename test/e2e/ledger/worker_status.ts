import * as v from "valibot";
import type { Client } from "../support/http/client.ts";

const statusSchema = v.object({
  worker_restarts: v.number(),
  workers: v.array(v.object({ slot: v.number(), workerId: v.number(), state: v.string() })),
  l1: v.object({
    usedBytes: v.number(),
    readLeases: v.number(),
    writeLeases: v.number(),
    stagingBytes: v.number(),
  }),
  loadsInFlight: v.number(),
  storeQueue: v.object({ entries: v.number(), inFlight: v.number() }),
});

/** The workers and L1 as /status shows them. */
export async function workerStatus(client: Client): Promise<v.InferOutput<typeof statusSchema>> {
  const { status, body } = await client.request({ method: "GET", path: "/status" });
  const text = new TextDecoder().decode(body);
  if (status !== 200) throw new Error(`GET /status: ${status} ${text}`);
  return v.parse(statusSchema, JSON.parse(text));
}
