/**
 * The bare handler in as many threads on one port as `--workers` says: what threads cost without a cache between them.
 * Takes the flags of src/main.ts, of which it obeys this one, and prints its start line.
 */
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { parseArgs } from "node:util";
import { freePort } from "../../src/compose/cluster.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { bareHandler } from "./bare_handler.ts";

const host = "127.0.0.1";
/** What Vitrine sends with a hit. */
const headers = {
  "content-type": "application/octet-stream",
  "accept-ranges": "bytes",
  age: "1",
  etag: '"00000000-0000000000"',
  "cache-status": "vitrine; hit; detail=l1",
};

/** Starts the threads; resolves when all of them listen. */
async function startThreads(count: number, port: number): Promise<void> {
  const threads = Array.from({ length: count }, () => {
    const thread = new Worker(new URL(import.meta.url).pathname, { workerData: port });
    return new Promise((resolve) => void thread.once("message", resolve));
  });
  await Promise.all(threads);
}

if (isMainThread) {
  const { values } = parseArgs({ options: { workers: { type: "string", default: "1" } }, strict: false });
  const port = await freePort(host, 0);
  await startThreads(Number(values.workers), port);
  console.log(`http://${host}:${port} admin=0`);
  process.once("SIGTERM", () => process.exit(0));
} else {
  const handler = bareHandler({ "/v1/objects/get-4k": { sizeBytes: 4096, headers } });
  const onError = () => {};
  currentRuntime().serve({ host, port: workerData, reusePort: true, idleTimeoutSeconds: 60, fetch: handler, onError });
  parentPort?.postMessage("listens");
}
