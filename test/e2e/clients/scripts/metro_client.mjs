// @ts-nocheck: its packages are installed outside the tree.
// Does with metro-cache's HttpStore what Metro does, and prints "ok" if all of it went well.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { HttpStore } from "metro-cache";

const { STORE_URL, STORE_TOKEN, STORE_STEP } = process.env;
const open = (token) => new HttpStore({ endpoint: STORE_URL, headers: { authorization: `Bearer ${token}` } });
const store = open(STORE_TOKEN);
const modules = Array.from({ length: 20 }, (_, i) => ({
  key: createHash("sha1").update(String(i)).digest(),
  value: i % 2 === 0 ? { output: [{ code: `module ${i}` }] } : Buffer.alloc(10_000 * i, i),
}));

const read = await Promise.all(modules.map(({ key }) => store.get(key)));
if (STORE_STEP === "warm") assert.deepEqual(read, modules.map(({ value }) => value));
else {
  assert.deepEqual(read, modules.map(() => null));
  await Promise.all(modules.map(({ key, value }) => store.set(key, value)));
  await assert.rejects(open("wrong").get(modules[0].key), /401/);
}
console.log("ok");
