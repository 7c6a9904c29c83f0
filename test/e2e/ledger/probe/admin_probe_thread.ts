/**
 * The thread of an AdminProbe: one request at a time, twenty to /healthz for each to /metrics, until it is told to
 * finish.
 */
import { setTimeout as wait } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { type Address, Connection } from "../../support/http/connection.ts";

const pauseMs = 10;
const address: Address = workerData;
const port = parentPort;
if (port === null) throw new Error("probe the admin port: this is no thread");
const told = { finish: false };
port.once("message", () => {
  told.finish = true;
});

const probes: { path: string; sizeBytes: number; ms: number }[] = [];
const connection = await Connection.open(address);
while (!told.finish) {
  const path = probes.length % 20 === 19 ? "/metrics" : "/healthz";
  const startMs = performance.now();
  const response = await connection.send({ method: "GET", path });
  const sizeBytes = (await response.bytes()).byteLength;
  if (response.status !== 200) throw new Error(`probe the admin port: ${path}: ${response.status}`);
  probes.push({ path, sizeBytes, ms: performance.now() - startMs });
  await wait(pauseMs);
}
connection.close();
port.postMessage(probes);
