import { afterAll, expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { memoryServer } from "./memory_server.ts";

/** Host fields and targets as strangers write them, over a real socket. */
const made = memoryServer();
const { app, events, errors } = made;
const isBun = currentRuntime().name === "bun";

afterAll(() => made.server.stop());

/** Status and body of the answer to these bytes. */
async function answerTo(bytes: string): Promise<{ readonly status: number; readonly text: string }> {
  const socket = made.open().write(bytes);
  const { status, body } = await socket.response();
  socket.destroy();
  return { status, text: new TextDecoder().decode(body) };
}

const put = (path: string, body: string) => made.fetch(path, { method: "PUT", body });

test("the path is the target's own when HTTP/1.0 sends no Host", async () => {
  expect(await answerTo("GET /healthz HTTP/1.0\r\n\r\n")).toEqual({ status: 200, text: "ok\n" });
  expect((await answerTo("PUT /zzz/v1/objects/k HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")).status).toBe(404);
  expect((await made.fetch("/v1/objects/k")).status).toBe(404);
  expect((await answerTo("PUT /v1/objects/k HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")).status).toBe(201);
  expect((await answerTo("GET /v1/objects/k HTTP/1.0\r\n\r\n")).text).toBe("x");
});

const badHosts = [
  "",
  "a b",
  "a, b",
  "[",
  "[::1",
  "a/b",
  "a/v1",
  "u:p@h",
  "a?b",
  "a#b",
  "a\\b",
  "a:x",
  ":80",
  "<a>",
  "a%4",
  "\u00ff",
];
const pathsOfAll = ["/healthz", "/v1/objects/a?explain=1", "/v1/objects/a/../b", "/v1/objects?limit=1", "/nope\\x"];

test("a request is refused with 400, and counted once, when its Host is none", async () => {
  for (const host of badHosts) {
    for (const path of pathsOfAll) {
      events.clear();
      const { status } = await answerTo(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      const counted = [events.count("http.request.start"), events.count("http.request.end")];
      expect([host, path, status, counted, app.activeRequests()]).toEqual([host, path, 400, [1, 1], 0]);
      expect((await events.requestEnd("GET")).status).toBe("400");
    }
  }
});

test("a request is refused with 400 when it has two Hosts", async () => {
  expect((await answerTo("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")).status).toBe(400);
});

test("a request changes nothing when its Host is none", async () => {
  await put("/v1/objects/kept", "x");
  for (const host of badHosts) {
    await answerTo(`DELETE /v1/objects HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await answerTo(`PUT /v1/objects/kept HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\ny`);
  }
  expect(await (await made.fetch("/v1/objects/kept")).text()).toBe("x");
});

test("the query is read when the host is an odd one", async () => {
  for (const host of ["[::1]:80", "a_b", "a:99999", "a,b", "0x7f.1", "a..b"]) {
    const { status, text } = await answerTo(`GET /v1/objects/q?explain=1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect([host, status, JSON.parse(text).key]).toEqual([host, 200, "q"]);
  }
});

test("an absolute target is taken by its path when a proxy sends one", async () => {
  await put("/v1/objects/absolute", "x");
  const targets = {
    "http://elsewhere/v1/objects/absolute": 200,
    "HTTPS://u:p@elsewhere:1/v1/objects/absolute?x": 200,
    // Bun has resolved it, Deno leaves it as it is.
    "http://elsewhere/x/../v1/objects/absolute": isBun ? 200 : 404,
    "http://elsewhere/healthz": 200,
    "http://elsewhere?/v1/objects/absolute": 200,
  };
  for (const [target, expected] of Object.entries(targets)) {
    const { status } = await answerTo(`GET ${target} HTTP/1.1\r\nHost: vitrine\r\n\r\n`);
    expect([target, status]).toEqual([target, expected]);
  }
});

test("a target is refused when it is not a path of this server", async () => {
  const targets = {
    "/v1/objects/a#b": 400,
    "/v1/objects#": 400,
    "ftp://elsewhere/v1/objects/a": 400,
    "foo:bar": 400,
    "v1/objects/a": 400,
    "?limit=1": 400,
    "\\\\elsewhere\\v1": 400,
    "//v1/objects/a": 404,
    "///healthz": 404,
    "/\\healthz": 404,
    "/v1/objects/%zz": 400,
    "/v1/objects/%ff": 400,
    "/v1/objects/\u00ff": 400,
    "/v1/objects/%EF%BF%BD": 400,
  };
  for (const [target, expected] of Object.entries(targets)) {
    const socket = made.open().write(
      new Uint8Array(Array.from(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, (c) => c.charCodeAt(0))),
    );
    const { status } = await socket.response();
    socket.destroy();
    expect([target, status]).toEqual([target, expected]);
  }
});

test("CONNECT and OPTIONS of the server itself are refused", async () => {
  expect((await answerTo("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")).status).toBe(isBun ? 400 : 405);
  // Bun refuses every target of its own accord that is neither a path nor absolute.
  expect((await answerTo("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")).status).toBe(isBun ? 400 : 404);
});

test("Deno cannot tell HTTP/1.1 without a Host from HTTP/1.0 today, Bun refuses it", async () => {
  expect((await answerTo("GET /healthz HTTP/1.1\r\n\r\n")).status).toBe(isBun ? 400 : 200);
});

test("nothing failed inside and nothing is left open after all of these", () => {
  expect([errors, app.activeRequests()]).toEqual([[], 0]);
});
