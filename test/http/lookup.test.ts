import { expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const prefixed = testToken("prefixed", { scopes: ["read"], prefix: "mine/" });
const writer = testToken("writer", { scopes: ["write"] });
const other = testToken("other", { scopes: ["read", "write"], tenant: "b" });

test("a lookup needs the scope read, stays within the token's tenant, and is refused for a key beyond its prefix", async () => {
  const { app, events } = memoryApp(sender, { tokens: [prefixed, writer, other].map(({ entry }) => entry) });
  const ask = async (keys: readonly string[], headers: Readonly<Record<string, string>>) => {
    const request = new Request("http://vitrine/v1/lookup", {
      method: "POST",
      body: JSON.stringify({ keys }),
      headers,
    });
    const answer = await app.fetch(request, {});
    const { held, type } = await answer.json();
    return [answer.status, held ?? type];
  };
  for (const key of ["mine/a", "else"]) {
    const request = { method: "PUT", body: "x", headers: writer.bearer };
    expect((await app.fetch(new Request(`http://vitrine/v1/objects/${key}`, request), {})).status).toBe(201);
  }
  expect(await ask(["mine/a", "mine/b"], prefixed.bearer)).toEqual([200, [["l1"], []]]);
  expect(await ask(["mine/a"], other.bearer)).toEqual([200, [[]]]);
  expect(await ask(["mine/a"], {})).toEqual([401, "/problems/unauthorized"]);
  expect(await ask(["mine/a"], writer.bearer)).toEqual([403, "/problems/forbidden"]);
  events.clear();
  expect(await ask(["mine/a", "else", "else"], prefixed.bearer)).toEqual([403, "/problems/forbidden"]);
  expect(events.named("access.refused").length).toBe(1);
});

test("only the tenant of a lease can release it, and only with the scope read", async () => {
  const { app, storage } = memoryApp(sender, { tokens: [prefixed, writer, other].map(({ entry }) => entry) });
  const send = async (path: string, method: string, init: RequestInit) =>
    await app.fetch(new Request(`http://vitrine/v1/${path}`, { method, ...init }), {});
  expect((await send("objects/mine/a", "PUT", { body: "x", headers: writer.bearer })).status).toBe(201);
  const body = JSON.stringify({ keys: ["mine/a"], lease: 60 });
  const { lease: { id } } = await (await send("lookup", "POST", { body, headers: prefixed.bearer })).json();
  expect(storage.leases.length).toBe(1);
  const release = async (headers: Record<string, string>) => (await send(`leases/${id}`, "DELETE", { headers })).status;
  expect([await release({}), await release(writer.bearer), await release(other.bearer)]).toEqual([401, 403, 404]);
  const get = JSON.stringify({ keys: ["mine/a"], lease: id });
  await (await send("batch/get", "POST", { body: get, headers: other.bearer })).bytes();
  expect([storage.leases.length, await release(prefixed.bearer), storage.leases.length]).toEqual([1, 204, 0]);
});

test("a batch of GETs whose reader goes away keeps its lease", async () => {
  const { app, storage } = memoryApp(sender);
  const send = async (path: string, init: RequestInit) =>
    await app.fetch(new Request(`http://vitrine/v1/${path}`, { method: "POST", ...init }), {});
  const put = new Request("http://vitrine/v1/objects/a", { method: "PUT", body: new Uint8Array(2_000_000) });
  expect((await app.fetch(put, {})).status).toBe(201);
  const { lease: { id } } = await (await send("lookup", { body: '{"keys":["a"],"lease":60}' })).json();
  const reader = (await send("batch/get", { body: JSON.stringify({ keys: ["a"], lease: id }) })).body?.getReader();
  await reader?.read();
  await reader?.cancel();
  expect([storage.open.reads, storage.leases.length]).toEqual([0, 1]);
});
