import { afterAll, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer } from "node:http";
import { type RunningCluster, startCluster } from "../../src/compose/cluster.ts";
import { AUDIENCE, ISSUER, issuerKey, keySet, sign } from "../access/jwt_issuer.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const errors: unknown[] = [];
const key = await issuerKey("one");
/** The issuer's server, and what it answers. */
const issuer = { status: 500, headers: {} as Readonly<Record<string, string>>, text: "", asked: 0 };
const server = createServer((_request, response) => {
  issuer.asked++;
  response.writeHead(issuer.status, issuer.headers).end(issuer.text);
}).listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
const issuerPort = typeof address === "object" && address !== null ? address.port : 0;

function start(): Promise<RunningCluster> {
  return startCluster(serverOptions([
    ...[...TWO_WORKERS, "--l1-size", "8MiB", "--l2", "none", "--log-level", "error", "--observability", "off"],
    ...["--jwks-url", `http://127.0.0.1:${issuerPort}/keys`, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE],
  ], { errors }));
}

const running: RunningCluster[] = [];

afterAll(async () => {
  for (const cluster of running) await cluster.stop();
  server.close();
});

/** The status of a request on a connection of its own, so that the kernel picks the worker anew. */
async function ask(port: number, path: string, token?: string): Promise<number> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { status, body } = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { ...authorization, connection: "close" },
  });
  await body?.cancel();
  return status;
}

test("a server starts although its issuer is down, and says so", async () => {
  const cluster = await start();
  running.push(cluster);
  const token = await sign(key, {}, { nowMs: Date.now() });
  expect(await ask(cluster.address.port, "/v1/objects/k")).toBe(401);
  expect(await ask(cluster.address.port, "/v1/objects/k", token)).toBe(503);
  expect(String(errors[0])).toContain(`load keys of JWTs from http://127.0.0.1:${issuerPort}/keys: `);
  expect(String(errors[0])).toContain("status 500");
});

test("JWTs open both ports to what their scopes allow, in all workers", async () => {
  Object.assign(issuer, { status: 200, text: keySet(key) });
  const cluster = await start();
  running.push(cluster);
  const [service, admin] = [cluster.address.port, cluster.adminAddress.port];
  const nowMs = Date.now();
  const [reader, operator] = [await sign(key, {}, { nowMs }), await sign(key, { scope: "admin" }, { nowMs })];
  for (let i = 0; i < 8; i++) {
    expect([await ask(service, "/v1/objects/k", reader), await ask(service, "/status", reader)]).toEqual([404, 403]);
    expect([await ask(service, "/v1/objects/k", operator), await ask(admin, "/status", operator)]).toEqual([403, 200]);
  }
  expect(await ask(service, "/v1/objects/k", `${reader.slice(0, -4)}AAAA`)).toBe(401);
});

test("a key set behind a redirection is not read", async () => {
  Object.assign(issuer, { status: 302, headers: { location: `http://127.0.0.1:${issuerPort}/other` }, asked: 0 });
  const cluster = await start();
  running.push(cluster);
  expect(await ask(cluster.address.port, "/v1/objects/k", await sign(key, {}, { nowMs: Date.now() }))).toBe(503);
  // Main and two workers, once each.
  expect(issuer.asked).toBe(3);
});
