import { expect, test } from "bun:test";
import { Limits, type LimitSettings, LimitTable } from "../../src/access/limits.ts";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const OFF: LimitSettings = { maxRequests: 0, maxTenantRequests: 0, tenantRate: 0, maxUploadBytes: 0 };
const [a, b] = ["a", "b"].map((tenant) => testToken(tenant, { tenant, scopes: ["read", "write", "delete", "admin"] }));
const tokens = [a, b].map((token) => token?.entry).filter((entry) => entry !== undefined);

function started(settings: Partial<LimitSettings>) {
  const clock = { ms: 0, monotonicMs: () => clock.ms };
  const limits = new Limits({ ...OFF, ...settings }, new LimitTable(LimitTable.allocate(1, 1), 0), clock);
  const made = memoryApp(sender, { tokens, limits });
  const ask = async (
    target: string,
    token = a,
    init: Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> } = {},
  ) => {
    const [method = "", path = ""] = target.split(" ");
    return await made.app.fetch(
      new Request(`http://vitrine${path}`, { ...init, method, headers: { ...token?.bearer, ...init.headers } }),
      {},
    );
  };
  /** A PUT whose body does not end before `finish`. */
  const upload = (key: string, token = a, headers = {}) => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const init = { body: readable, headers, duplex: "half" };
    const answer = ask(`PUT /v1/objects/${key}`, token, init);
    return {
      answer,
      write: (bytes: number) => writer.write(new Uint8Array(bytes)),
      async finish() {
        await writer.close();
        return (await answer).status;
      },
    };
  };
  return { ...made, clock, ask, upload };
}

async function seen(answer: Response | Promise<Response>) {
  const { status, headers, ...response } = await answer;
  void response;
  const { type, limit } = await (await answer).json();
  return { status, type, limit, retryAfter: headers.get("retry-after") };
}

for (
  const [settings, refusal, metric] of [
    [{ maxRequests: 2 }, { status: 503, type: "/problems/overloaded", limit: 2, retryAfter: "1" }, "requests"],
    [
      { maxTenantRequests: 2 },
      { status: 429, type: "/problems/too-many-requests", limit: 2, retryAfter: "1" },
      "tenant_requests",
    ],
  ] as const
) {
  test(`the third request in progress is refused by ${JSON.stringify(settings)}, whatever it asks for an object`, async () => {
    const { ask, upload, app, events } = started(settings);
    const uploads = [upload("x"), upload("y")];
    for (const target of ["GET /v1/objects/k", "PUT /v1/objects/k", "DELETE /v1/objects/k", "GET /v1/objects"]) {
      expect([target, await seen(ask(target))]).toEqual([target, refusal]);
    }
    expect(events.named("limit.reached").at(-1)).toEqual({
      ...{ limit: metric, route: "/v1/objects", method: "GET", tenant: "a", token: "a" },
    });
    expect((await ask("GET /v1/objects/k", b)).status).toBe(metric === "requests" ? 503 : 404);
    for (const path of ["/healthz", "/readyz", "/status", "/metrics"]) {
      expect((await ask(`GET ${path}`)).status).toBe(200);
    }
    expect(await Promise.all(uploads.map((each) => each.finish()))).toEqual([201, 201]);
    expect((await ask("GET /v1/objects/k")).status).toBe(404);
    expect(app.activeRequests()).toBe(0);
  });
}

test("the request after the tenant's last of a second is a 429 with the fields of a rate limit", async () => {
  const { ask, clock } = started({ tenantRate: 2 });
  for (let i = 0; i < 2; i++) expect((await ask("GET /v1/objects/k")).status).toBe(404);
  const limited = await ask("GET /v1/objects/k");
  const fields = ["retry-after", "ratelimit", "ratelimit-policy"].map((name) => limited.headers.get(name));
  expect([limited.status, ...fields]).toEqual([429, "1", '"tenant";r=0;t=1', '"tenant";q=2;w=1']);
  expect((await limited.json()).type).toBe("/problems/rate-limited");
  expect((await ask("GET /v1/objects/k", b)).status).toBe(404);
  clock.ms = 1000;
  expect((await ask("GET /v1/objects/k")).status).toBe(404);
});

test("requests that access control refuses use nothing up", async () => {
  const { ask } = started({ tenantRate: 1, maxRequests: 1 });
  for (let i = 0; i < 3; i++) {
    expect((await ask("GET /v1/objects/k", a, { headers: { "vitrine-tenant": "b" } })).status).toBe(403);
  }
  expect((await ask("GET /v1/objects/k")).status).toBe(404);
});

test("bodies in progress are counted by their length, and without one as they arrive", async () => {
  const { ask, upload } = started({ maxUploadBytes: 8 * 1024 * 1024 });
  const announced = upload("x", a, { "content-length": String(5 * 1024 * 1024) });
  const second = await ask("PUT /v1/objects/k", a, {
    body: "x",
    headers: { "content-length": String(3 * 1024 * 1024 + 1) },
  });
  expect(await seen(second)).toEqual({
    ...{ status: 503, type: "/problems/too-many-bytes", limit: 8 * 1024 * 1024, retryAfter: "1" },
  });
  const growing = upload("y");
  await growing.write(3 * 1024 * 1024);
  await growing.write(1).catch(() => {});
  expect((await seen(growing.answer)).type).toBe("/problems/too-many-bytes");
  await announced.write(5 * 1024 * 1024);
  expect(await announced.finish()).toBe(201);
  expect((await ask("GET /v1/objects/y")).status).toBe(404);
  expect((await ask("PUT /v1/objects/k", a, { body: "x" })).status).toBe(201);
});

test("a PUT that is too large is counted as one that reached a limit", async () => {
  const { ask, events, knobs } = started({});
  const headers = { "content-length": String(knobs.maxObjectBytes + 1) };
  expect((await ask("PUT /v1/objects/k", a, { body: "x", headers })).status).toBe(413);
  expect(events.named("limit.reached")).toMatchObject([{ limit: "object_size", tenant: "a" }]);
});
