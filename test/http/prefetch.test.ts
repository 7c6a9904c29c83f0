import { expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const reader = testToken("reader", { scopes: ["read"], prefix: "mine/" });
const second = testToken("second", { scopes: ["read"] });
const writer = testToken("writer", { scopes: ["write"] });
const any = testToken("any", { scopes: ["read"], any_tenant: true });

test("a prefetch job needs the scope read, and belongs to the token and the tenant that began it", async () => {
  const { app, storage } = memoryApp(sender, { tokens: [reader, second, writer, any].map(({ entry }) => entry) });
  const send = async (path: string, method: string, init: RequestInit) =>
    await app.fetch(new Request(`http://vitrine/v1/${path}`, { method, ...init }), {});
  const begin = async (keys: readonly string[], headers: Record<string, string>) =>
    await send("prefetch", "POST", { body: JSON.stringify({ keys, lease: 60 }), headers });
  expect((await send("objects/mine/a", "PUT", { body: "x", headers: writer.bearer })).status).toBe(201);
  const refused = [{}, writer.bearer].map(async (headers) => (await begin(["mine/a"], headers)).status);
  expect(await Promise.all(refused)).toEqual([401, 403]);
  expect((await begin(["mine/a", "else"], reader.bearer)).status).toBe(403);
  const { id } = await (await begin(["mine/a"], reader.bearer)).json();
  expect(storage.leases.length).toBe(1);
  const status = async (method: string, headers: Record<string, string>) =>
    (await send(`prefetch/${id}`, method, { headers })).status;
  for (const method of ["GET", "DELETE"]) {
    const others = [{}, writer.bearer, second.bearer, any.bearer, { ...any.bearer, "vitrine-tenant": "b" }];
    expect(await Promise.all(others.map((headers) => status(method, headers)))).toEqual([401, 403, 404, 404, 404]);
  }
  expect([await status("GET", reader.bearer), storage.leases.length]).toEqual([200, 1]);
  expect([await status("DELETE", reader.bearer), storage.leases.length]).toEqual([204, 0]);
});
