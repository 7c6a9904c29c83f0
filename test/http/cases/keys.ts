import { expect } from "bun:test";
import { type ContractCase, refusal } from "../contract_client.ts";

const KEYS = [
  "a",
  "a/b//c",
  "/",
  "a/../b",
  "a/..",
  "./a",
  "...",
  "@scope/name@1.0.0",
  "a+b c&d=e?f#g",
  "100%",
  "%2F",
  "äöü/日本語/🦊",
  "nul\0tab\tnewline\n",
  "back\\slash",
  "'\"<>`{}|^~",
  "x".repeat(1024),
  "ü".repeat(512),
];

/** Keys and how they are encoded. */
export const keyCases: readonly ContractCase[] = [
  ...KEYS.map((key): ContractCase => ({
    name: `PUT, GET, the listing and DELETE agree on the key when it is ${
      JSON.stringify(key.slice(0, 40))
    } (${key.length})`,
    async run(client) {
      await client.create(key, "body");
      expect(await (await client.get(key)).text()).toBe("body");
      expect((await (await client.fetch("/v1/objects")).json()).objects.map((each: { key: string }) => each.key))
        .toEqual([key]);
      expect((await client.delete(key)).status).toBe(204);
    },
  })),
  ...["x".repeat(1025), "x" + "ü".repeat(512), "日".repeat(342)].map((key): ContractCase => ({
    name: `PUT and GET refuse with 400 when the key has ${
      new TextEncoder().encode(key).length
    } bytes in ${key.length} characters`,
    async run(client) {
      for (const response of [await client.put(key, "x"), await client.get(key)]) {
        expect(await refusal(response)).toEqual([400, "/problems/bad-key"]);
      }
    },
  })),
  ...["%", "%zz", "a%2", "%ff", "%c3%28", "%ed%a0%80"].map((encoded): ContractCase => ({
    name: `GET refuses with 400 when the key is encoded as ${encoded}`,
    async run(client) {
      expect(await refusal(await client.fetch(`/v1/objects/${encoded}`))).toEqual([400, "/problems/bad-key"]);
    },
  })),
  {
    name: "GET finds one object when its slashes are sent encoded and as they are",
    async run(client) {
      await client.create("a/b/c", "body");
      const paths = ["a/b/c", "a%2Fb%2Fc", "a%2fb/c", "%61/b/c"];
      for (const path of paths) expect((await client.fetch(`/v1/objects/${path}`)).status).toBe(200);
    },
  },
  {
    name: "GET ignores the query string when it looks for the key",
    async run(client) {
      await client.create("a", "body");
      expect((await client.fetch("/v1/objects/a?b=c/d")).status).toBe(200);
      expect((await client.fetch("/v1/objects/a%3Fb=c")).status).toBe(404);
    },
  },
  {
    name: "GET, PUT and DELETE refuse with 400 and change nothing when the key is empty",
    async run(client) {
      await client.create("a", "x");
      for (const method of ["GET", "PUT", "DELETE"]) {
        for (const path of ["/v1/objects/", "/v1/objects/?clear=all", "/v1/objects/?tier=l1"]) {
          const init = { method, ...(method === "PUT" ? { body: "x" } : {}) };
          expect(await refusal(await client.fetch(path, init))).toEqual([400, "/problems/bad-key"]);
        }
      }
      expect((await (await client.fetch("/v1/objects")).json()).objects.length).toBe(1);
    },
  },
];
