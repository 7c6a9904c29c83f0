import { afterAll, expect, test } from "bun:test";
import { VitrineError } from "../../../src/core/errors.ts";
import { clientServer, clientToken, textOf } from "./client_server.ts";

const writer = clientToken("writer");
const other = clientToken("other", { tenant: "other" });
const reader = clientToken("reader", { scopes: ["read"] });
const pinned = clientToken("pinned", { prefix: "unstorage/app/cache/" });
const server = clientServer([writer, other, reader, pinned]);
const { ask } = server;
afterAll(() => server.stop());

const keysOf = async (path: string, token = writer) => await (await ask(`GET ${path}`, { token })).json();

test("an item is kept as it was sent, with its type and its time", async () => {
  const put = await ask("PUT /unstorage/app/a/b", { body: "hello", headers: { "content-type": "text/plain" } });
  expect(put.status).toBe(201);
  const got = await ask("GET /unstorage/app/a/b");
  expect([await got.text(), got.headers.get("content-type")]).toEqual(["hello", "text/plain"]);
  expect(got.headers.get("last-modified")).toBe(new Date(server.knobs.clock.nowMs()).toUTCString());
  expect([got.headers.get("x-ttl"), got.headers.get("cache-control")]).toEqual([null, null]);
  expect((await ask("DELETE /unstorage/app/a/b")).status).toBe(204);
  // The driver throws at a 404 here.
  expect((await ask("DELETE /unstorage/app/a/b")).status).toBe(204);
  expect((await ask("HEAD /unstorage/app/a/b")).status).toBe(404);
});

test("a time to live is counted down and ends the item", async () => {
  const { advance } = server.fixture({ fetch: fetch, overSockets: true });
  await ask("PUT /unstorage/ttl/short", { body: "x", headers: { "x-ttl": "10" } });
  advance?.(3500);
  const got = await ask("GET /unstorage/ttl/short");
  expect([got.headers.get("x-ttl"), got.headers.get("cache-control"), got.headers.get("age")]).toEqual([
    "6",
    "max-age=10",
    "3",
  ]);
  advance?.(6500);
  expect((await ask("GET /unstorage/ttl/short")).status).toBe(404);
  for (const ttl of ["0", "-1", "x", "1e3", "Infinity", ""]) {
    const { status } = await ask("PUT /unstorage/app/bad", { body: "x", headers: { "x-ttl": ttl } });
    expect([ttl, status]).toEqual([ttl, 400]);
  }
});

test("a base lists the keys below it, relative to the store", async () => {
  for (const key of ["l/a", "l/b/c", "l/b/d%26", "lx"]) await ask(`PUT /unstorage/list/${key}`, { body: "x" });
  await ask("PUT /unstorage/listing/l/a", { body: "x" });
  expect(await keysOf("/unstorage/list/:")).toEqual(["l/a", "l/b/c", "l/b/d&", "lx"]);
  expect(await keysOf("/unstorage/list/l/:")).toEqual(["l/a", "l/b/c", "l/b/d&"]);
  expect(await keysOf("/unstorage/list/l/b/")).toEqual(["l/b/c", "l/b/d&"]);
  expect(await keysOf("/unstorage/list/none/:")).toEqual([]);
  expect(await keysOf("/unstorage/list/:", other)).toEqual([]);
});

test("a list and a clear of more keys than a page has are of all of them", async () => {
  const keys = Array.from({ length: 2001 }, (_, i) => `k${String(i).padStart(4, "0")}`);
  for (let at = 0; at < keys.length; at += 100) {
    await Promise.all(keys.slice(at, at + 100).map((key) => ask(`PUT /unstorage/many/${key}`, { body: "x" })));
  }
  await ask("PUT /unstorage/manyother/k", { body: "x" });
  expect(await keysOf("/unstorage/many/:")).toEqual(keys);
  expect((await ask("DELETE /unstorage/many/:")).status).toBe(204);
  expect(await keysOf("/unstorage/many/:")).toEqual([]);
  expect(await keysOf("/unstorage/manyother/:")).toEqual(["k"]);
});

test("a base is no item", async () => {
  await ask("PUT /unstorage/base/k", { body: "x" });
  for (
    const [target, status] of [["PUT /unstorage/base/:", 400], ["PUT /unstorage/base/a/", 400], [
      "HEAD /unstorage/base/:",
      400,
    ]] as const
  ) {
    const body = target.startsWith("PUT") ? { body: "x" } : {};
    expect([target, (await ask(target, body)).status]).toEqual([target, status]);
  }
  for (
    const target of ["DELETE /unstorage/", "DELETE /unstorage/base", "DELETE /unstorage//:", "DELETE /unstorage/:"]
  ) {
    const { status } = await ask(target);
    expect([target, status === 404 || status === 405 || status === 400]).toEqual([target, true]);
  }
  expect(await keysOf("/unstorage/base/:")).toEqual(["k"]);
});

test("a token with a prefix lists and clears what it has, and no more", async () => {
  for (const key of ["cache/1", "cache/2", "other/1"]) await ask(`PUT /unstorage/app/${key}`, { body: "x" });
  expect(await keysOf("/unstorage/app/:", pinned)).toEqual(["cache/1", "cache/2"]);
  expect((await ask("GET /unstorage/app/other/:", { token: pinned })).status).toBe(403);
  expect((await ask("DELETE /unstorage/app/other/:", { token: pinned })).status).toBe(403);
  expect((await ask("DELETE /unstorage/app/:", { token: reader })).status).toBe(403);
  expect((await ask("DELETE /unstorage/app/:", { token: pinned })).status).toBe(204);
  expect(await keysOf("/unstorage/app/:")).toEqual(["other/1"]);
});

test("a tier that fails is a refusal, also behind a page that it has given", async () => {
  const meta = { sizeBytes: 1, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
  for (const pages of [0, 1]) {
    let asked = 0;
    Object.assign(server.storage, {
      async list() {
        if (asked++ >= pages) throw new VitrineError("tier_failed", "list: it fails");
        return { entries: [{ key: "unstorage/app/k", meta }], more: true };
      },
    });
    const { status } = await ask("GET /unstorage/app/:");
    Reflect.deleteProperty(server.storage, "list");
    expect([pages, status]).toEqual([pages, 503]);
  }
});

test("items are counted by their route", async () => {
  server.events.clear();
  await ask("PUT /unstorage/app/n", { body: "x" });
  await textOf(ask("GET /unstorage/app/n"));
  await textOf(ask("GET /unstorage/app/none"));
  expect(server.ended()).toEqual({
    "PUT /unstorage/{store}/{key} 201": 1,
    "GET /unstorage/{store}/{key} 200": 1,
    "GET /unstorage/{store}/{key} 404": 1,
  });
});

test("no key of one store is a key of another", async () => {
  await ask("PUT /unstorage/a%2Fb/c", { body: "1" });
  await ask("PUT /unstorage/a/b/c", { body: "2" });
  expect(await keysOf("/unstorage/a/:")).toEqual(["b/c"]);
});
