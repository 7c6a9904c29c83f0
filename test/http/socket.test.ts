import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { contractFor } from "./contract.ts";
import { pattern } from "./contract_client.ts";
import { memoryApp } from "./memory_app.ts";
import { RawSocket } from "./raw_socket.ts";

const MIB = 1024 * 1024;
const runtime = currentRuntime();
const brokenBodies: unknown[] = [];
const { app, storage, knobs, errors, events, fixture } = memoryApp(runtime.createSender({ idleTimeoutSeconds: 60 }));
const server = runtime.serve({
  host: "127.0.0.1",
  port: 0,
  reusePort: false,
  idleTimeoutSeconds: 60,
  exactPaths: app.exactPaths,
  fetch: app.fetch,
  onError: (error) => brokenBodies.push(error),
});
const { port } = server.address;
const fetchOverSocket = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
const open = () => new RawSocket(port);
const request = (method: string, path: string, headers: readonly string[] = []) =>
  [`${method} ${path} HTTP/1.1`, "Host: vitrine", ...headers, "", ""].join("\r\n");

afterAll(() => server.stop());

for (const { name, run } of contractFor(fixture({ overSockets: true, fetch: fetchOverSocket }))) {
  test(`over sockets: ${name}`, run);
}

test("the server answers in order when requests are pipelined", async () => {
  const socket = open().write(
    request("PUT", "/v1/objects/pipe", ["Content-Length: 5"]) + "hello" + request("GET", "/v1/objects/pipe") +
      request("HEAD", "/v1/objects/pipe") + request("GET", "/v1/objects/none") + request("DELETE", "/v1/objects/pipe"),
  );
  const statuses = [];
  for (const method of ["PUT", "GET", "HEAD", "GET", "DELETE"]) {
    const { status } = await socket.response(method === "HEAD");
    statuses.push(status);
  }
  socket.destroy();
  expect(statuses).toEqual([201, 200, 200, 404, 204]);
});

for (const bytes of [1000, MIB]) {
  test(`PUT of ${bytes} bytes stores nothing and counts as aborted when the client goes away half-way`, async () => {
    events.clear();
    const path = `/v1/objects/gone-${bytes}`;
    const socket = open().write(request("PUT", path, [`Content-Length: ${bytes}`])).write(pattern(bytes / 2));
    await fetchOverSocket("/healthz");
    socket.destroy();
    expect(await events.requestEnd("PUT")).toMatchObject({ outcome: "aborted", responseBytes: expect.any(Number) });
    expect((await fetchOverSocket(path)).status).toBe(404);
  });
}

test("PUT in chunks stores nothing when the client goes away before the last chunk", async () => {
  events.clear();
  const socket = open().write(request("PUT", "/v1/objects/cut", ["Transfer-Encoding: chunked"]) + "5\r\nhello\r\n");
  await fetchOverSocket("/healthz");
  socket.destroy();
  expect((await events.requestEnd("PUT")).outcome).toBe("aborted");
  expect((await fetchOverSocket("/v1/objects/cut")).status).toBe(404);
});

test("PUT stores nothing when the client closes its side before the body is whole", async () => {
  events.clear();
  const socket = open().write(request("PUT", "/v1/objects/short", ["Content-Length: 10"]) + "hello").end();
  expect((await events.requestEnd("PUT")).outcome).toBe("aborted");
  expect((await fetchOverSocket("/v1/objects/short")).status).toBe(404);
  socket.destroy();
});

test("GET gives the object back and counts as aborted when the client goes away half-way", async () => {
  const { maxObjectBytes } = knobs;
  // More than the buffers of a loopback connection hold, and more than is copied to be sent.
  knobs.maxObjectBytes = 33 * MIB;
  await fetchOverSocket("/v1/objects/large", { method: "PUT", body: pattern(knobs.maxObjectBytes) });
  knobs.maxObjectBytes = maxObjectBytes;
  const socket = open().write(request("GET", "/v1/objects/large"));
  await socket.take(1000);
  expect([storage.open.reads, app.activeRequests()]).toEqual([1, 1]);
  events.clear();
  socket.destroy();
  expect(await events.requestEnd("GET")).toMatchObject({ outcome: "aborted", status: "200" });
  expect([storage.open.reads, app.activeRequests()]).toEqual([0, 0]);
});

test("GET breaks the connection and counts as aborted when a tier fails half-way", async () => {
  await fetchOverSocket("/v1/objects/failing", { method: "PUT", body: pattern(5 * MIB) });
  events.clear();
  knobs.streamFailsAtBytes = 2 * MIB;
  const socket = open().write(request("GET", "/v1/objects/failing"));
  await expect(socket.response()).rejects.toThrow("the connection closed");
  knobs.streamFailsAtBytes = Infinity;
  expect(await events.requestEnd("GET")).toMatchObject({
    outcome: "aborted",
    // Nothing of a body that is copied as a whole has been sent.
    responseBytes: runtime.name === "bun" ? 0 : 2 * MIB,
  });
});

test("an absolute request target finds the object when a proxy sends one", async () => {
  await fetchOverSocket("/v1/objects/absolute", { method: "PUT", body: "x" });
  const socket = open().write(request("GET", "http://elsewhere/v1/objects/absolute"));
  expect((await socket.response()).status).toBe(200);
  socket.destroy();
});

for (const bytes of [1000, 300_000]) {
  test(`GET sends ${bytes} stored bytes of text as they are when the client would take them compressed`, async () => {
    const path = `/v1/objects/text-${bytes}`;
    const etag = (await fetchOverSocket(path, {
      method: "PUT",
      body: "x".repeat(bytes),
      headers: { "content-type": "text/plain" },
    }))
      .headers.get("etag");
    const socket = open().write(request("GET", path, ["Accept-Encoding: gzip, br, zstd"]));
    const { headers, body } = await socket.response();
    socket.destroy();
    expect([headers.get("etag"), headers.get("content-encoding"), headers.get("vary")]).toEqual([etag, null, null]);
    expect(Buffer.from(body).toString()).toBe("x".repeat(bytes));
  });
}

test("PUT takes a body in gzip as it is, and GET sends the same bytes with its Content-Encoding", async () => {
  const gzip = gzipSync("hello");
  const put = ["Content-Encoding: x-first", "Content-Encoding: gzip", `Content-Length: ${gzip.length}`];
  const socket = open().write(request("PUT", "/v1/objects/gzip", put)).write(gzip);
  expect((await socket.response()).status).toBe(201);
  const { headers, body } = await socket.write(request("GET", "/v1/objects/gzip")).response();
  socket.destroy();
  expect([headers.get("content-encoding"), headers.get("content-length")]).toEqual([
    "x-first, gzip",
    String(gzip.length),
  ]);
  expect(Buffer.compare(body, gzip)).toBe(0);
});

test("GET sends no field that a value of the PUT has smuggled in", async () => {
  const names = [
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Disposition",
    "Expires",
    "Cache-Control",
    "Vitrine-Meta-A",
  ];
  for (const name of names) {
    for (const evil of ["\r", "\0", "\r\r\n ", "\v", "\f", "\x7f", "\u0085", "\u010a\u010d"]) {
      const line = Buffer.from(`${name}: a${evil}Set-Cookie: x=y`, "latin1").toString("latin1");
      const put = Buffer.from(
        request("PUT", "/v1/objects/evil", ["Content-Length: 0", "Connection: close", line]),
        "latin1",
      );
      await open().write(put).closed();
      const socket = open().write(request("GET", "/v1/objects/evil"));
      const { headers } = await socket.response();
      socket.destroy();
      expect(headers.get("set-cookie")).toBeNull();
    }
  }
});

test("Server.stop lets a running download finish when it is called", async () => {
  await fetchOverSocket("/v1/objects/last", { method: "PUT", body: pattern(6 * MIB) });
  const socket = open().write(request("GET", "/v1/objects/last", ["Connection: close"]));
  const { headers } = await socket.head();
  const stopped = server.stop();
  expect((await socket.body(headers)).length).toBe(6 * MIB);
  await stopped;
  await expect(fetchOverSocket("/healthz")).rejects.toThrow();
  expect([storage.open, app.activeRequests()]).toEqual([{ reads: 0, uploads: 0 }, 0]);
  expect(errors).toEqual([]);
});
