/** What comes when over a socket if a client waits for leave to send its body (RFC 9110, 10.1.1). */
import { createServer } from "node:http";
import { once } from "node:events";
import { afterAll, expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { memoryApp } from "./memory_app.ts";
import { RawSocket } from "./raw_socket.ts";
import { testToken } from "./tokens.ts";

const { entry, bearer } = testToken("writer", { scopes: ["write"] });
const runtime = currentRuntime();
const { app, knobs } = memoryApp(runtime.createSender({ idleTimeoutSeconds: 60 }), { tokens: [entry] });
const listen = { host: "127.0.0.1", port: 0, reusePort: false, idleTimeoutSeconds: 60, onError: () => {} };
const server = runtime.serve({ ...listen, exactPaths: app.exactPaths, fetch: app.fetch });

afterAll(() => server.stop());

function put(port: number, path: string, headers: Readonly<Record<string, string | number>>): RawSocket {
  const fields = Object.entries({ host: "localhost", expect: "100-continue", ...headers });
  const lines = [`PUT ${path} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`), "", ""];
  return new RawSocket(port).write(lines.join("\r\n"));
}

test("PUT stores the body when it is sent after 100-continue", async () => {
  const socket = put(server.address.port, "/v1/objects/expect", { ...bearer, "content-length": 5 });
  expect((await socket.response()).status).toBe(100);
  expect((await socket.write("hello").response()).status).toBe(201);
  socket.destroy();
});

const refused = [
  ["it announces too much", "/v1/objects/a", { ...bearer, "content-length": knobs.maxObjectBytes + 1 }, 413],
  ["it has no token", "/v1/objects/a", { "content-length": 5 }, 401],
  ["it has no token and comes in chunks", "/v1/objects/a", { "transfer-encoding": "chunked" }, 401],
  ["its key is not UTF-8", "/v1/objects/%ff", { ...bearer, "content-length": 5 }, 400],
  ["there is no such path", "/nowhere", { ...bearer, "content-length": 5 }, 404],
  ["its precondition is false", "/v1/objects/a", { ...bearer, "content-length": 5, "if-match": '"x"' }, 412],
] as const;

for (const [name, path, headers, status] of refused) {
  test(`PUT is refused without its body, today after 100 Continue, when ${name}`, async () => {
    const socket = put(server.address.port, path, headers);
    expect((await socket.response()).status).toBe(100);
    expect((await socket.response()).status).toBe(status);
    socket.destroy();
  });
}

test("today the runtime sends 100 Continue before the handler has decided", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const bare = runtime.serve({ ...listen, fetch: () => promise });
  const socket = put(bare.address.port, "/", { "content-length": 5 });
  expect((await socket.response()).status).toBe(100);
  resolve(new Response(null, { status: 403 }));
  expect((await socket.response()).status).toBe(403);
  socket.destroy();
  await bare.stop();
});

test("node:http leaves the decision to its handler", async () => {
  const slow = createServer().on("checkContinue", (_request, response) => response.writeHead(403).end("no"));
  await once(slow.listen(0, "127.0.0.1"), "listening");
  const address = slow.address();
  const socket = put(typeof address === "object" ? address?.port ?? 0 : 0, "/", { "content-length": 5 });
  expect((await socket.response()).status).toBe(403);
  socket.destroy();
  slow.close();
});
