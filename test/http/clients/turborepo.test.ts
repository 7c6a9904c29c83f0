import { afterAll, expect, test } from "bun:test";
import { clientServer, clientToken, textOf } from "./client_server.ts";

const writer = clientToken("writer");
const other = clientToken("other", { tenant: "other" });
const reader = clientToken("reader", { scopes: ["read"] });
const creator = clientToken("creator", { scopes: ["create-only"] });
const pinned = clientToken("pinned", { prefix: "turborepo/web/" });
const server = clientServer([writer, other, reader, creator, pinned]);
const { ask } = server;
afterAll(() => server.stop());

const FIELDS = {
  "x-artifact-duration": "1200",
  "x-artifact-tag": "c2lnbmF0dXJl",
  "x-artifact-sha": "0123",
  "x-artifact-dirty-hash": "4567",
};

test("an artifact is given back with the fields of its upload, and not by /v1/objects", async () => {
  const put = await ask("PUT /v8/artifacts/00ff?slug=web", { body: "bytes", headers: FIELDS });
  expect([put.status, await put.json()]).toEqual([202, { urls: ["/v8/artifacts/00ff"] }]);
  for (const method of ["GET", "HEAD", "GET"]) {
    const got = await ask(`${method} /v8/artifacts/00ff?slug=web`);
    expect([got.status, await got.text()]).toEqual([200, method === "GET" ? "bytes" : ""]);
    for (const [name, value] of Object.entries(FIELDS)) expect([name, got.headers.get(name)]).toEqual([name, value]);
  }
  const plain = await ask("GET /v1/objects/turborepo/web/00ff");
  expect([await plain.text(), plain.headers.get("x-artifact-tag")]).toEqual(["bytes", null]);
});

test("a team is a part of the key, and never another tenant", async () => {
  await ask("PUT /v8/artifacts/01?teamId=team_1&slug=web", { body: "by id" });
  await ask("PUT /v8/artifacts/01?slug=web", { body: "by slug" });
  await ask("PUT /v8/artifacts/01", { body: "without" });
  const bodies = ["?teamId=team_1", "?teamId=team_1&slug=any", "?slug=web", "?slug=web&more=x", "", "?teamId=&slug="];
  const read = await Promise.all(bodies.map(async (query) => (await textOf(ask(`GET /v8/artifacts/01${query}`)))[1]));
  expect(read).toEqual(["by id", "by id", "by slug", "by slug", "without", "without"]);
  for (const query of ["?teamId=team", "?slug=team", "?teamId=", "?slug=web"]) {
    expect((await ask(`GET /v8/artifacts/01${query}`, { token: other })).status).toBe(404);
  }
  expect((await ask("GET /v8/artifacts/01?slug=web", { headers: { "vitrine-tenant": "other" } })).status).toBe(403);
});

test("a team that is no name is refused", async () => {
  for (const team of ["..", "a/b", "a%2Fb", "%2e%2e", "-a", ".a", "%00", "a%20b", "é", "x".repeat(129)]) {
    const [status, text] = await textOf(ask(`GET /v8/artifacts/01?slug=${team}`));
    expect([team, status, JSON.parse(text).type]).toEqual([team, 400, "/problems/bad-key"]);
  }
  expect((await ask("GET /v8/artifacts/01?slug=a&slug=b")).status).toBe(400);
});

test("a token with a prefix reaches only its team, whatever the query says", async () => {
  expect((await ask("PUT /v8/artifacts/02?slug=web", { token: pinned, body: "x" })).status).toBe(202);
  expect((await ask("GET /v8/artifacts/02?slug=web", { token: pinned })).status).toBe(200);
  for (const query of ["?slug=webs", "?teamId=other&slug=web", ""]) {
    const [status, text] = await textOf(ask(`GET /v8/artifacts/02${query}`, { token: pinned }));
    expect([status, JSON.parse(text).error]).toEqual([
      403,
      { code: "forbidden", message: "check token: it does not allow this" },
    ]);
  }
});

test("a refusal has a member that turbo parses, beside those of a problem", async () => {
  const [status, text] = await textOf(ask("PUT /v8/artifacts/03", { token: reader, body: "x" }));
  expect([status, JSON.parse(text)]).toEqual([403, {
    type: "/problems/forbidden",
    title: "The token does not allow this",
    detail: "check token: it does not allow this",
    status: 403,
    instance: "/v8/artifacts/03",
    error: { code: "forbidden", message: "check token: it does not allow this" },
  }]);
  const stranger = await ask("GET /v8/artifacts/03", { headers: { authorization: "Bearer no" } });
  expect([stranger.status, (await stranger.json()).error.code]).toEqual([401, "unauthorized"]);
  expect(stranger.headers.get("www-authenticate")).toContain("Bearer");
});

test("each scope opens its own calls", async () => {
  await ask("PUT /v8/artifacts/04", { body: "x" });
  const statuses = async (token: typeof writer) => {
    const targets = [
      "GET /v8/artifacts/status",
      "GET /v8/artifacts/04",
      "POST /v8/artifacts",
      "POST /v8/artifacts/events",
    ];
    return await Promise.all(targets.map(async (target) => {
      const body = target.startsWith("POST") ? { body: '{"hashes":["04"]}' } : {};
      return (await ask(target, { token, ...body })).status;
    }));
  };
  expect(await statuses(reader)).toEqual([200, 200, 200, 200]);
  expect(await statuses(creator)).toEqual([200, 403, 403, 200]);
  expect((await ask("PUT /v8/artifacts/04", { token: creator, body: "y" })).status).toBe(412);
  expect(await textOf(ask("GET /v8/artifacts/04"))).toEqual([200, "x"]);
});

test("a batch query tells size, duration and tag of what is there", async () => {
  await ask("PUT /v8/artifacts/05?slug=q", { body: "12345", headers: FIELDS });
  await ask("PUT /v8/artifacts/06?slug=q", { body: "" });
  const query = { body: JSON.stringify({ hashes: ["05", "06", "07", "05"] }) };
  expect(await (await ask("POST /v8/artifacts?slug=q", query)).json()).toEqual({
    "05": { size: 5, taskDurationMs: 1200, tag: "c2lnbmF0dXJl" },
    "06": { size: 0 },
    "07": null,
  });
  for (const body of ["", "{}", '{"hashes":["x"]}', '{"hashes":["../05"]}', '{"hashes":[5]}']) {
    expect([body, (await ask("POST /v8/artifacts", { body })).status]).toEqual([body, 400]);
  }
});

test("a preflight of a program allows the token to be sent, and opens nothing to a page of another origin", async () => {
  for (const path of ["/v8/artifacts", "/v8/artifacts/00ff", "/v8/artifacts/events"]) {
    const headers = { "access-control-request-method": "PUT", "access-control-request-headers": "Authorization" };
    const answer = await ask(`OPTIONS ${path}`, { headers });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-headers")).toMatch(/(^|, )Authorization(,|$)/);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    const page = await ask(`OPTIONS ${path}`, { headers: { ...headers, origin: "https://evil.example" } });
    expect([page.status, page.headers.get("access-control-allow-headers")]).toEqual([403, null]);
  }
});

test("requests are counted by their own routes, and events are no lookups", async () => {
  server.events.clear();
  await ask("GET /v8/artifacts/status");
  await ask("PUT /v8/artifacts/0a", { body: "x" });
  await ask("GET /v8/artifacts/0a");
  await ask("GET /v8/artifacts/0b");
  await ask("POST /v8/artifacts/events", { body: JSON.stringify([{ event: "HIT", hash: "0a", source: "REMOTE" }]) });
  await ask("POST /v8/artifacts", { body: '{"hashes":["0a"]}' });
  await ask("PUT /v8/artifacts/status", { body: "x" });
  await ask("GET /v8/artifacts/xyz");
  expect(server.ended()).toEqual({
    "GET /v8/artifacts/status 200": 1,
    "PUT /v8/artifacts/{hash} 202": 1,
    "GET /v8/artifacts/{hash} 200": 1,
    "GET /v8/artifacts/{hash} 404": 1,
    "POST /v8/artifacts/events 200": 1,
    "POST /v8/artifacts 200": 1,
    "PUT _other 405": 1,
    "GET _other 404": 1,
  });
});
