import { expect, test } from "bun:test";
import process from "node:process";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { memoryServer } from "../http/memory_server.ts";
import { RawSocket } from "../http/raw_socket.ts";

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
});

test("a connection that is gone can be aborted, and nothing is thrown where nobody can catch it", async () => {
  const aborts: (() => void)[] = [];
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);
  process.on("uncaughtException", onUncaught);
  const server = currentRuntime().serve({
    ...{ host: "127.0.0.1", port: 0, reusePort: false, idleTimeoutSeconds: 255 },
    fetch(_request, { abort }) {
      if (abort !== undefined) aborts.push(abort);
      return new Response("body", { headers: { connection: "close" } });
    },
    onError: (error) => uncaught.push(error),
  });
  const socket = new RawSocket(server.address.port).write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  await socket.closed();
  await server.stop();
  expect(aborts.length).toBe(currentRuntime().name === "deno" ? 1 : 0);
  for (const abort of aborts) abort();
  process.off("uncaughtException", onUncaught);
  expect(uncaught).toEqual([]);
});
