import { expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { memoryServer } from "../http/memory_server.ts";

test("connections are closed when their clients send nothing, half a head, half a body, or nothing more", async () => {
  const made = memoryServer({ idleTimeoutSeconds: 1 });
  const length = "Content-Length: 10\r\n\r\nhello";
  const sent = [
    "",
    "GET /healthz HT",
    "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    `PUT /v1/objects/half HTTP/1.1\r\nHost: h\r\n${length}`,
    `PUT /v1/objects/half HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  ];
  // Bun checks its connections every four seconds: `bun run e2e:hostile --only descriptors` waits for that.
  const waited = currentRuntime().name === "bun" ? [] : sent;
  await Promise.all(waited.map((bytes) => made.open().write(bytes).closed()));
  expect((await made.fetch("/v1/objects/half")).status).toBe(404);
  expect([made.storage.open, made.app.activeRequests()]).toEqual([{ reads: 0, uploads: 0 }, 0]);
  await made.server.stop();
}, 30_000);
