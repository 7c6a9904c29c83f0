import { afterAll, expect, test } from "bun:test";
import { Limits, LimitTable } from "../../../src/access/limits.ts";
import { clientServer, clientToken, textOf } from "./client_server.ts";

const writer = clientToken("writer");
const other = clientToken("other", { tenant: "other" });
const reader = clientToken("reader", { scopes: ["read"] });
const creator = clientToken("creator", { scopes: ["create-only"] });
const pinned = clientToken("pinned", { prefix: "builds/" });
const tokens = [writer, other, reader, creator, pinned];
const server = clientServer(tokens);
const { ask } = server;
afterAll(() => server.stop());

test("an entry is stored once: 200, then 409, and the first bytes stay", async () => {
  expect((await ask("GET /v1/cache/7045849972598145536")).status).toBe(404);
  expect(await textOf(ask("PUT /v1/cache/7045849972598145536", { body: "first" }))).toEqual([200, ""]);
  const again = await ask("PUT /v1/cache/7045849972598145536", { body: "second" });
  expect([again.status, again.headers.get("content-type")]).toEqual([409, "text/plain"]);
  expect(await textOf(ask("GET /v1/cache/7045849972598145536"))).toEqual([200, "first"]);
  expect(await textOf(ask("GET /v1/objects/nx/7045849972598145536"))).toEqual([200, "first"]);
});

test("an entry can be stored again when it was deleted", async () => {
  await ask("PUT /v1/cache/1", { body: "a" });
  expect((await ask("DELETE /v1/objects/nx/1")).status).toBe(204);
  expect((await ask("PUT /v1/cache/1", { body: "b" })).status).toBe(200);
  expect(await textOf(ask("GET /v1/cache/1"))).toEqual([200, "b"]);
});

test("a token that is wrong or may not is told so as text", async () => {
  const refusals = [
    [ask("GET /v1/cache/2", { headers: { authorization: "Bearer no" } }), 401],
    [ask("PUT /v1/cache/2", { body: "x", headers: { authorization: "Bearer no" } }), 401],
    [ask("PUT /v1/cache/2", { body: "x", token: reader }), 403],
    [ask("GET /v1/cache/2", { token: creator }), 403],
    [ask("PUT /v1/cache/2", { body: "x", token: pinned }), 403],
  ] as const;
  for (const [asked, status] of refusals) {
    const answer = await asked;
    expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "text/plain"]);
    expect(await answer.text()).toMatch(/^The (?:request needs a token|token does not allow this): check token: .*\n$/);
  }
  expect((await ask("PUT /v1/cache/2", { body: "x", token: creator })).status).toBe(200);
  expect((await ask("GET /v1/cache/2", { token: other })).status).toBe(404);
});

test("a server that cannot answer now is one without the entry, which keeps nothing, and counts what it is", async () => {
  const { knobs, events } = server;
  events.clear();
  knobs.failing = true;
  const get = await ask("GET /v1/cache/3");
  knobs.failing = false;
  knobs.full = true;
  const put = await ask("PUT /v1/cache/3", { body: "x" });
  knobs.full = false;
  expect([get.status, get.headers.get("cache-status"), get.headers.get("content-type"), await get.text()]).toEqual([
    404,
    "vitrine; fwd=bypass; detail=tier_failed",
    "text/plain",
    expect.stringMatching(/^A storage tier failed: /),
  ]);
  expect([put.status, await put.text()]).toEqual([403, expect.stringMatching(/^There is no room for the object: /)]);
  expect((await ask("GET /v1/cache/3")).headers.get("cache-status")).toBe("vitrine; fwd=miss; detail=never_stored");
});

test("a limit is a 404 to GET and a 403 to PUT, and is counted as a limit", async () => {
  const limited = clientServer(tokens, {
    limits: new Limits(
      { maxRequests: 0, maxTenantRequests: 0, tenantRate: 1, maxUploadBytes: 0 },
      new LimitTable(LimitTable.allocate(1, 1), 0),
      { monotonicMs: () => 0 },
    ),
  });
  expect((await limited.ask("PUT /v1/cache/4", { body: "x" })).status).toBe(200);
  expect((await limited.ask("GET /v1/cache/4")).status).toBe(404);
  expect((await limited.ask("PUT /v1/cache/5", { body: "x" })).status).toBe(403);
  expect(limited.events.named("limit.reached")).toMatchObject([
    { limit: "tenant_rate", route: "/v1/cache/{hash}", method: "GET" },
    { limit: "tenant_rate", route: "/v1/cache/{hash}", method: "PUT" },
  ]);
  await limited.stop();
});

test("an entry above the largest object is a 403 and not stored", async () => {
  const body = new Uint8Array(server.knobs.maxObjectBytes + 1);
  expect((await ask("PUT /v1/cache/6", { body })).status).toBe(403);
  expect((await ask("GET /v1/cache/6")).status).toBe(404);
});

test("a hash that is no name is no entry", async () => {
  for (const hash of ["a.b", "a%2Fb", "..%2f1", "%2e%2e", "1/2", ""]) {
    expect([hash, (await ask(`GET /v1/cache/${hash}`)).status]).toEqual([hash, 404]);
  }
  expect((await ask(`GET /v1/cache/${"1".repeat(129)}`)).status).toBe(400);
});
