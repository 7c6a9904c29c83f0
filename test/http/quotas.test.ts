import { expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const admin = testToken("admin", { scopes: ["admin"], tenant: "ops" });
const reader = testToken("reader", { scopes: ["read"], tenant: "a" });
const writer = testToken("writer", { scopes: ["write", "delete", "create-only", "metrics"], tenant: "a" });
const anyone = testToken("anyone", { scopes: ["read"], tenant: "a", any_tenant: true });
const all = [admin, reader, writer, anyone];

type Token = typeof admin;

function started() {
  const made = memoryApp(sender, { tokens: all.map(({ entry }) => entry) });
  const ask = async (token: Token | undefined, target: string, body?: string) => {
    const [method = "", path = ""] = target.split(" ");
    const init = { method, headers: token?.bearer ?? {}, ...(body === undefined ? {} : { body }) };
    const answer = await made.app.fetch(new Request(`http://vitrine${path}`, init), {});
    const text = await answer.text();
    const value: unknown = text === "" ? undefined : JSON.parse(text);
    return { status: answer.status, value };
  };
  return { ...made, ask };
}

const SET = '{"limit_bytes": 1000, "strict": true}';
const STRICT = { tenant: "a", limit_bytes: 1000, strict: true, used_bytes: 0, over: false, kept: false };

test("a quota is set, read and ended, and its change is told of", async () => {
  const { ask, events } = started();
  expect((await ask(admin, "GET /v1/tenants/a/quota")).status).toBe(404);
  expect(await ask(admin, "PUT /v1/tenants/a/quota", SET)).toEqual({ status: 200, value: STRICT });
  expect(await ask(admin, "GET /v1/tenants/a/quota")).toEqual({ status: 200, value: STRICT });
  expect(await ask(admin, "PUT /v1/tenants/a/quota", '{"limit_bytes": 0}')).toEqual({
    status: 200,
    value: { ...STRICT, limit_bytes: 0, strict: false },
  });
  expect(await ask(admin, "DELETE /v1/tenants/a/quota")).toEqual({ status: 204, value: undefined });
  expect((await ask(admin, "DELETE /v1/tenants/a/quota")).status).toBe(404);
  expect(events.named("quota.changed")).toEqual([
    { tenant: "a", action: "strict", limitBytes: "1000" },
    { tenant: "a", action: "soft", limitBytes: "0" },
    { tenant: "a", action: "removed", limitBytes: "" },
  ]);
});

test("only admin changes quotas; a tenant's own token reads its own, and one for any tenant all", async () => {
  const { ask } = started();
  await ask(admin, "PUT /v1/tenants/a/quota", SET);
  await ask(admin, "PUT /v1/tenants/b/quota", SET);
  const statuses = async (target: string, body?: string) => {
    const answers = [undefined, ...all].map(async (token) => (await ask(token, target, body)).status);
    return await Promise.all(answers);
  };
  // Nobody, admin, reader of a, writer of a, reader of any.
  expect(await statuses("GET /v1/tenants/a/quota")).toEqual([401, 200, 200, 403, 200]);
  expect(await statuses("GET /v1/tenants/b/quota")).toEqual([401, 200, 403, 403, 200]);
  expect(await statuses("GET /v1/tenants/nobody/quota")).toEqual([401, 404, 403, 403, 404]);
  expect(await statuses("PUT /v1/tenants/a/quota", SET)).toEqual([401, 200, 403, 403, 403]);
  expect(await statuses("DELETE /v1/tenants/c/quota")).toEqual([401, 404, 403, 403, 403]);
  for (const target of ["GET /quota", "GET /quota/a", "DELETE /quota/c", "POST /cache/clear"]) {
    expect(await statuses(target)).toEqual([401, 200, 403, 403, 403]);
  }
  expect(await statuses("PUT /quota/a", '{"limit_gb": 1}')).toEqual([401, 200, 403, 403, 403]);
  expect(await statuses("GET /healthcheck")).toEqual([200, 200, 200, 200, 200]);
});

test("a body that is no quota, and a name that is no tenant's, are 400", async () => {
  const { ask } = started();
  const bodies = [
    "",
    "[]",
    "{}",
    '{"limit_bytes": -1}',
    '{"limit_bytes": 1.5}',
    '{"limit_bytes": "1"}',
    '{"limit_bytes": 1e300}',
    '{"limit_bytes": 1, "strict": 1}',
    '{"limit_bytes": 1, "hard": true}',
  ];
  for (const body of bodies) {
    expect([body, (await ask(admin, "PUT /v1/tenants/a/quota", body)).status]).toEqual([body, 400]);
  }
  const names = ["caf%C3%A9", "a%00", "%", "t".repeat(129)];
  for (const name of names) {
    expect([name, (await ask(admin, `PUT /v1/tenants/${name}/quota`, SET)).status]).toEqual([name, 400]);
  }
  for (const body of ["", "[1]", "{}", '{"limit_gb": -1}', '{"limit_gb": "2"}', '{"limit_gb": 1e9}']) {
    expect([body, (await ask(admin, "PUT /quota/a", body)).status]).toEqual([body, 400]);
  }
  expect((await ask(admin, "POST /cache/clear", '{"tier": "l2"}')).status).toBe(400);
});

test("a tenant's name is taken as it is, and _default is the tenant without a name", async () => {
  const { ask } = started();
  for (const [segment, tenant] of [["_default", ""], ["a%2Fb%20c", "a/b c"], ["t".repeat(128), "t".repeat(128)]]) {
    const { value } = await ask(admin, `PUT /v1/tenants/${segment}/quota`, SET);
    expect(value).toEqual({ ...STRICT, tenant });
  }
});

test("LMCache's control plane answers in its shapes", async () => {
  const { ask, fixture } = started();
  const answers: Record<string, unknown> = {};
  for (
    const [target, body] of [
      ["PUT /quota/a", '{"limit_gb": 0.5, "more": 1}'],
      ["PUT /quota/_default", '{"limit_gb": 2}'],
      ["GET /quota"],
      ["GET /quota/a"],
      ["GET /quota/b"],
      ["DELETE /quota/_default"],
      ["DELETE /quota/b"],
      ["POST /cache/clear", '{"tier": "l1"}'],
      ["GET /healthcheck"],
    ] as const
  ) answers[target] = (await ask(admin, target, body)).value;
  expect(answers).toEqual({
    "PUT /quota/a": { cache_salt: "a", limit_gb: 0.5, status: "ok" },
    "PUT /quota/_default": { cache_salt: "_default", limit_gb: 2, status: "ok" },
    "GET /quota": {
      users: { _default: { limit_gb: 2, current_usage_gb: 0 }, a: { limit_gb: 0.5, current_usage_gb: 0 } },
    },
    "GET /quota/a": { cache_salt: "a", limit_gb: 0.5, current_usage_gb: 0, exists: true },
    "GET /quota/b": { cache_salt: "b", limit_gb: 0, current_usage_gb: 0, exists: false },
    "DELETE /quota/_default": { cache_salt: "_default", status: "removed" },
    "DELETE /quota/b": { cache_salt: "b", status: "not_found" },
    "POST /cache/clear": { status: "ok", cleared: { tier: "l1" } },
    "GET /healthcheck": { status: "healthy" },
  });
  fixture({ overSockets: false, fetch: () => Promise.reject(new Error("unused")) }).setReady?.(false);
  expect(await ask(undefined, "GET /healthcheck")).toEqual({
    status: 503,
    value: { status: "unhealthy", reason: "on purpose" },
  });
});
