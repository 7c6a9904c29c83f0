// @ts-nocheck: its packages are installed outside the tree.
// Does with unstorage's HTTP driver what its users do, and prints "ok" if all of it went as with other drivers.
import assert from "node:assert/strict";
import { createStorage } from "unstorage";
import httpDriver from "unstorage/drivers/http";

const { STORE_URL, STORE_TOKEN } = process.env;
const driverOf = (token) => httpDriver({ base: STORE_URL, headers: { authorization: `Bearer ${token}` } });
const open = (token) => createStorage({ driver: driverOf(token) });
const storage = open(STORE_TOKEN);

assert.equal(await storage.getItem("users:1"), null);
await storage.setItem("users:1", { name: "Ada" });
await storage.setItem("users:2", "text");
await storage.setItem("posts:a b&c", 5);
assert.deepEqual(await storage.getItem("users:1"), { name: "Ada" });
assert.equal(await storage.getItem("users:2"), "text");
assert.equal(await storage.getItem("posts:a b&c"), 5);
assert.equal(await storage.hasItem("users:1"), true);
assert.equal(await storage.hasItem("users:3"), false);

const raw = new Uint8Array(300_000).map((_, i) => i * 31);
await storage.setItemRaw("raw", raw);
assert.deepEqual(new Uint8Array(await storage.getItemRaw("raw")), raw);

assert.deepEqual((await storage.getKeys()).toSorted(), ["posts:a b&c", "raw", "users:1", "users:2"]);
assert.deepEqual((await storage.getKeys("users")).toSorted(), ["users:1", "users:2"]);

const { mtime, ttl } = await storage.getMeta("users:1");
assert.ok(Math.abs(Date.now() - mtime.getTime()) < 60_000);
assert.equal(ttl, undefined);
await storage.setItem("short", "x", { ttl: 100 });
const short = await storage.getMeta("short");
assert.ok(short.ttl > 90 && short.ttl <= 100, String(short.ttl));
await storage.setItem("shorter", "x", { ttl: 1 });
const startMs = Date.now();
while (await storage.hasItem("shorter")) {
  assert.ok(Date.now() < startMs + 5000, "the time to live does not end");
  await new Promise((resolve) => setTimeout(resolve, 100));
}

await storage.removeItem("users:2");
await storage.removeItem("users:2");
assert.equal(await storage.getItem("users:2"), null);
// A storage clears only whole drivers.
await driverOf(STORE_TOKEN).clear("users");
assert.deepEqual((await storage.getKeys()).toSorted(), ["posts:a b&c", "raw", "short"]);
await assert.rejects(open("wrong").getItem("raw"), /401/);
await storage.clear();
assert.deepEqual(await storage.getKeys(), []);
console.log("ok");
