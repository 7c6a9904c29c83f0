import { afterAll, expect, test } from "bun:test";
import { clientServer, clientToken, textOf } from "./client_server.ts";

const writer = clientToken("writer");
const other = clientToken("other", { tenant: "other" });
const reader = clientToken("reader", { scopes: ["read"] });
const pinned = clientToken("pinned", { prefix: "sccache/" });
const server = clientServer([writer, other, reader, pinned]);
const { ask } = server;
afterAll(() => server.stop());

const propfind = (path: string, options: Parameters<typeof ask>[1] = {}) =>
  ask(`PROPFIND ${path}`, {
    body: '<?xml version="1.0" encoding="utf-8" ?><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>',
    ...options,
    headers: { depth: "0", "content-type": "application/xml", ...options.headers },
  });

test("a path that ends with a slash is a collection, whatever there is below it", async () => {
  for (const path of ["/dav/", "/dav/sccache/", "/dav/none%20such/1/"]) {
    const answer = await propfind(path);
    const text = await answer.text();
    expect([answer.status, answer.headers.get("content-type")]).toEqual([207, "application/xml; charset=utf-8"]);
    expect(text).toContain(`<D:href>${path}</D:href>`);
    expect(text).toContain("<D:resourcetype><D:collection></D:collection></D:resourcetype>");
    expect(text).toContain("<D:getlastmodified>Thu, 01 Jan 1970 00:00:00 GMT</D:getlastmodified>");
    expect((await ask(`MKCOL ${path === "/dav/" ? "/dav/new/" : path}`)).status).toBe(201);
  }
});

test("a file is what /v1/objects has under the same key, with its size and its time", async () => {
  expect((await ask("PUT /dav/sccache/a/b%26c", { body: "hello" })).status).toBe(201);
  expect((await ask("PUT /dav/sccache/a/b%26c", { body: "again" })).status).toBe(200);
  expect(await textOf(ask("GET /v1/objects/sccache/a/b%26c"))).toEqual([200, "again"]);
  const [status, text] = await textOf(propfind("/dav/sccache/a/b%26c"));
  expect(status).toBe(207);
  expect(text).toContain("<D:href>/dav/sccache/a/b%26c</D:href>");
  expect(text).toContain("<D:resourcetype></D:resourcetype><D:getcontentlength>5</D:getcontentlength>");
  expect(text).toContain(`<D:getlastmodified>${new Date(1_800_000_000_000).toUTCString()}</D:getlastmodified>`);
  expect((await ask("HEAD /dav/sccache/a/b%26c")).headers.get("content-length")).toBe("5");
  expect((await ask("DELETE /dav/sccache/a/b%26c")).status).toBe(204);
  expect((await ask("DELETE /dav/sccache/a/b%26c")).status).toBe(404);
  expect((await propfind("/dav/sccache/a/b%26c")).status).toBe(404);
});

test("the members of a collection are not listed", async () => {
  for (const headers of [{ depth: "1" }, { depth: "infinity" }]) {
    expect((await propfind("/dav/sccache/", { headers })).status).toBe(400);
  }
  expect((await propfind("/dav/", { body: "x".repeat(64 * 1024 + 1) })).status).toBe(400);
});

test("a path that is no key is refused, and removes nothing", async () => {
  await ask("PUT /dav/kept", { body: "x" });
  for (const target of ["GET /dav/", "DELETE /dav/", "PUT /dav/%ff", "MKCOL /dav/"]) {
    const body = target.startsWith("PUT") ? { body: "x" } : {};
    expect([target, (await ask(target, body)).status]).toEqual([target, 400]);
  }
  expect(await textOf(ask("GET /dav/kept"))).toEqual([200, "x"]);
});

test("a token reaches its tenant and its prefix, and does what its scopes allow", async () => {
  await ask("PUT /dav/sccache/k", { body: "x" });
  expect((await ask("GET /dav/sccache/k", { token: other })).status).toBe(404);
  expect((await ask("GET /dav/sccache/k", { token: pinned })).status).toBe(200);
  expect((await ask("GET /dav/elsewhere/k", { token: pinned })).status).toBe(403);
  expect((await ask("PUT /dav/sccache/k", { token: reader, body: "y" })).status).toBe(403);
  expect((await ask("MKCOL /dav/sccache/", { token: reader })).status).toBe(403);
  expect((await ask("DELETE /dav/sccache/k", { token: reader })).status).toBe(403);
  expect((await propfind("/dav/sccache/", { headers: { authorization: "Bearer no" } })).status).toBe(401);
});

test("requests are counted by their route; methods of WebDAV are _OTHER", async () => {
  server.events.clear();
  await propfind("/dav/a/");
  await ask("PUT /dav/a/b", { body: "x" });
  await ask("GET /dav/a/b");
  await ask("GET /dav/a/none");
  expect(server.ended()).toEqual({
    "_OTHER /dav/{key} 207": 1,
    "PUT /dav/{key} 201": 1,
    "GET /dav/{key} 200": 1,
    "GET /dav/{key} 404": 1,
  });
});
