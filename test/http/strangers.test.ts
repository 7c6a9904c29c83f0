import { afterAll, expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { memoryApp } from "./memory_app.ts";
import { RawSocket } from "./raw_socket.ts";

/** Requests of strangers' pages, over a real socket. The server allows the host name `ours` alone. */
const runtime = currentRuntime();
const { app, events, storage } = memoryApp(runtime.createSender({ idleTimeoutSeconds: 60 }), {
  allowedHosts: ["ours"],
});
const server = runtime.serve({
  host: "127.0.0.1",
  port: 0,
  reusePort: false,
  idleTimeoutSeconds: 60,
  fetch: app.fetch,
  onError() {},
});
const { port } = server.address;
const own = `127.0.0.1:${port}`;

afterAll(() => server.stop());

async function ask(target: string, headers: Readonly<Record<string, string>> = {}): Promise<readonly [number, string]> {
  const lines = Object.entries({ host: own, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const [method = ""] = target.split(" ");
  const framing = method === "PUT" || method === "POST" ? "content-length: 1\r\n\r\nx" : "\r\n";
  const socket = new RawSocket(port).write(`${target} HTTP/1.1\r\n${lines.join("")}${framing}`);
  const { status, body } = await socket.response(method === "HEAD");
  socket.destroy();
  const text = new TextDecoder().decode(body);
  return [status, text.startsWith("{") ? JSON.parse(text).type ?? "" : ""];
}

test("every path is refused with 421 and counted once, and nothing changes, when a stranger's name points here", async () => {
  expect(await ask("PUT /v1/objects/a")).toEqual([201, ""]);
  for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example"]) {
    for (
      const path of [
        "/",
        "/page/x.js",
        "/metrics",
        "/status",
        "/v1/events",
        "/v1/objects",
        "/v1/objects/a",
        "/nope",
        "/healthz",
      ]
    ) {
      for (const method of ["GET", "PUT", "DELETE", "POST", "OPTIONS"]) {
        events.clear();
        expect([host, await ask(`${method} ${path}`, { host })]).toEqual([host, [421, "/problems/misdirected"]]);
        expect([events.count("http.request.start"), events.count("http.request.end")]).toEqual([1, 1]);
      }
    }
  }
  expect((await ask("DELETE /v1/objects?clear=all", { host: "evil.example", origin: "http://evil.example" }))[0]).toBe(
    421,
  );
  expect(await ask("GET /v1/objects/a")).toEqual([200, ""]);
});

test("requests are answered when they name the loopback, an address or a name that was configured", async () => {
  for (const host of ["localhost", `localhost:${port}`, "127.0.0.2", "[::1]:1", "10.1.2.3", "ours", "OURS:80"]) {
    expect([host, (await ask("GET /healthz", { host }))[0]]).toEqual([host, 200]);
  }
});

const foreign = [
  { origin: "http://evil.example" },
  { origin: "null" },
  { origin: `http://127.0.0.1:${port + 1}` },
  { origin: `http://localhost:${port}` },
  { origin: `http://${own}, http://${own}` },
  { origin: `http://${own}/` },
  { origin: `http://a@${own}` },
  { origin: "" },
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
  { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
];

test("what changes or tells something is refused with 403 when the page of another origin asks for it", async () => {
  await ask("PUT /v1/objects/kept");
  for (const headers of foreign) {
    const asked = [
      "PUT /v1/objects/kept",
      "PUT /v1/objects/new",
      "DELETE /v1/objects/kept",
      "DELETE /v1/objects?clear=all",
      "POST /v1/objects/kept",
      "OPTIONS /v1/objects/kept",
      "GET /v1/events",
      "GET /metrics",
      "GET /v1/objects",
      "GET /status",
    ];
    for (const target of asked) {
      expect([headers, target, await ask(target, headers)]).toEqual([headers, target, [
        403,
        "/problems/foreign-origin",
      ]]);
    }
  }
  expect(await ask("GET /v1/objects/kept")).toEqual([200, ""]);
  expect((await ask("GET /v1/objects/new"))[0]).toBe(404);
  expect(storage.open).toEqual({ reads: 0, uploads: 0 });
});

test("a request passes when its Origin is this server, when a link leads to it, and when no browser sent it", async () => {
  const passing = [
    {},
    { origin: `http://${own}` },
    { origin: `HTTP://${own}` },
    { host: "ours", origin: "https://ours" },
    { host: "ours:443", origin: "https://ours" },
    { "sec-fetch-site": "same-origin", origin: `http://${own}` },
    { "sec-fetch-site": "none" },
    { "sec-fetch-mode": "cors" },
  ];
  for (const headers of passing) {
    for (const target of ["PUT /v1/objects/p", "GET /v1/objects", "GET /status", "DELETE /v1/objects/p"]) {
      expect([headers, target, (await ask(target, headers))[0] < 300]).toEqual([headers, target, true]);
    }
  }
  const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  expect((await ask("GET /status", link))[0]).toBe(200);
  expect((await ask("DELETE /v1/objects?clear=all", link))[0]).toBe(403);
});
