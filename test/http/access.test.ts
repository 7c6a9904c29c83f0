import { expect, test } from "bun:test";
import { createPassword, SCOPES } from "../../src/access/tokens.ts";
import { FailureTable, MAX_FAILURES } from "../../src/access/failure_table.ts";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { type MemoryApp, memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const byScope = new Map(SCOPES.map((scope) => [scope, testToken(`of-${scope}`, { scopes: [scope] })]));
const all = testToken("all", { scopes: [...SCOPES] });
const a = testToken("a", { scopes: ["read", "write", "delete"], tenant: "a" });
const prefixed = testToken("prefixed", { scopes: ["read", "write", "delete"], tenant: "a", prefix: "builds/" });
const any = testToken("any", { scopes: ["read", "write"], tenant: "a", any_tenant: true });
const creator = testToken("creator", { scopes: ["read", "create-only"] });
const person = await createPassword(
  { id: "person", scopes: ["read"], tenant: "", any_tenant: false, prefix: "" },
  "hunter22",
);
const tokens = [...byScope.values(), all, a, prefixed, any, creator].map(({ entry }) => entry).concat(person);

type Headers = Readonly<Record<string, string>>;

function started(options: Parameters<typeof memoryApp>[1] = {}) {
  const made = memoryApp(sender, { tokens, ...options });
  const context = { addressOf: () => "10.0.0.1" };
  const ask = async (target: string, headers: Headers = {}, body = "x") => {
    const [method = "", path = ""] = target.split(" ");
    const init = { method, headers, ...(method === "PUT" ? { body } : {}) };
    return await made.app.fetch(new Request(`http://vitrine${path}`, init), context);
  };
  return { ...made, ask };
}

async function statusOf(answer: Promise<Response>): Promise<number> {
  const { status, body } = await answer;
  await body?.cancel();
  return status;
}

test("each scope opens its own calls and no others", async () => {
  const { ask } = started();
  const calls: Readonly<Record<string, readonly string[]>> = {
    "GET /v1/objects/k": ["read"],
    "HEAD /v1/objects/k": ["read"],
    "GET /v1/objects/k?explain=1": ["read"],
    "GET /v1/objects": ["read"],
    "PUT /v1/objects/k": ["write", "create-only"],
    "DELETE /v1/objects/k": ["delete"],
    "DELETE /v1/objects?clear=all": ["delete"],
    "GET /metrics": ["metrics", "admin"],
    "GET /status": ["admin"],
    "GET /config": ["admin"],
    "GET /version": ["admin"],
    "GET /v1/events": ["admin"],
    "GET /v1/access": SCOPES,
    "GET /v1/tier": SCOPES,
    "GET /v1/tier/objects?prefix=&after=&limit=1": ["read"],
    "GET /v1/tier/objects/aw": ["read"],
    "PUT /v1/tier/objects/aw": ["write", "create-only"],
    "DELETE /v1/tier/objects/aw": ["delete"],
  };
  for (const [target, scopes] of Object.entries(calls)) {
    expect([target, await statusOf(ask(target))]).toEqual([target, 401]);
    for (const scope of SCOPES) {
      const status = await statusOf(ask(target, byScope.get(scope)?.bearer));
      expect([target, scope, status === 403]).toEqual([target, scope, !scopes.includes(scope)]);
      expect(status).not.toBe(401);
    }
    expect(await statusOf(ask(target, all.bearer))).toBeLessThan(413);
  }
});

test("whether it lives, the page and the specification are there for everybody", async () => {
  const { ask } = started();
  for (const path of ["/healthz", "/readyz", "/", "/page/main.js", "/docs", "/openapi.json"]) {
    expect([path, await statusOf(ask(`GET ${path}`))]).toEqual([path, 200]);
  }
});

test("the answer is the same whatever is wrong with a token, and says how to bring one", async () => {
  const { ask } = started();
  const wrong = [
    {},
    { authorization: "" },
    { authorization: "Bearer" },
    { authorization: "Bearer vit_nobody" },
    { authorization: `Bearer ${all.secret.slice(0, -1)}` },
    { authorization: `Basic ${btoa("all:nothing")}` },
    { authorization: `Basic ${btoa("person:hunter23")}` },
    { authorization: `Basic ${btoa("nobody:hunter22")}` },
    { authorization: "Digest username=all" },
  ];
  const answers = new Set<string>();
  for (const headers of wrong) {
    const answer = await ask("GET /v1/objects/k", headers);
    answers.add(JSON.stringify([answer.status, [...answer.headers], await answer.text()]));
  }
  expect(answers.size).toBe(1);
  const [only = ""] = answers;
  expect(only).toContain(
    '["www-authenticate","Basic realm=\\"vitrine\\", charset=\\"UTF-8\\", Bearer realm=\\"vitrine\\""]',
  );
  expect(only).toContain("/problems/unauthorized");
});

test("what a token does not allow is refused with the same answer whether it is there or not", async () => {
  const { ask } = started();
  await ask("PUT /v1/objects/k", all.bearer);
  const answers = new Set<string>();
  for (
    const [target, headers] of [
      ["GET /v1/objects/k", a.bearer && { ...a.bearer, "vitrine-tenant": "" }],
      ["GET /v1/objects/k", prefixed.bearer],
      ["GET /v1/objects/k", byScope.get("write")?.bearer],
    ] as const
  ) {
    const answer = await ask(target, headers);
    answers.add(JSON.stringify([answer.status, await answer.text()]));
  }
  expect([answers.size, [...answers][0]?.includes("403")]).toEqual([1, true]);
});

test("the token decides the tenant: the header alone gives nobody another one", async () => {
  const { ask } = started();
  expect(await statusOf(ask("PUT /v1/objects/k", a.bearer, "of a"))).toBe(201);
  expect(await statusOf(ask("GET /v1/objects/k", all.bearer))).toBe(404);
  expect(await (await ask("GET /v1/objects/k", { ...a.bearer, "vitrine-tenant": "a" })).text()).toBe("of a");
  for (const tenant of ["", "b", "A", "a,b"]) {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const status = await statusOf(ask(`${method} /v1/objects/k`, { ...a.bearer, "vitrine-tenant": tenant }));
      expect([tenant, status]).toEqual([tenant, 403]);
    }
  }
  expect(await (await ask("GET /v1/objects/k", any.bearer)).text()).toBe("of a");
  expect(await statusOf(ask("GET /v1/objects/k", { ...any.bearer, "vitrine-tenant": "b" }))).toBe(404);
});

test("a token with a prefix sees and changes the keys that begin with it, and lists no others", async () => {
  const { ask } = started();
  for (const key of ["builds/1", "builds/2", "build", "other"]) await ask(`PUT /v1/objects/${key}`, a.bearer);
  for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
    for (const key of ["other", "build", "Builds/1", "builds", "x/builds/1"]) {
      expect([method, key, await statusOf(ask(`${method} /v1/objects/${key}`, prefixed.bearer))]).toEqual([
        method,
        key,
        403,
      ]);
    }
    expect(await statusOf(ask(`${method} /v1/objects/builds%2F1`, prefixed.bearer))).toBeLessThan(300);
  }
  const listed = async (query: string) => {
    const answer = await ask(`GET /v1/objects${query}`, prefixed.bearer);
    if (answer.status !== 200) return answer.status;
    return (await answer.json()).objects.map(({ key }: { readonly key: string }) => key);
  };
  await ask("PUT /v1/objects/builds/1", a.bearer);
  expect(await listed("")).toEqual(["builds/1", "builds/2"]);
  expect(await listed("?prefix=bu")).toEqual(["builds/1", "builds/2"]);
  expect(await listed("?prefix=builds/2")).toEqual(["builds/2"]);
  expect(await listed(`?cursor=${btoa("aaaa").replaceAll("=", "")}`)).toEqual(["builds/1", "builds/2"]);
  expect([await listed("?prefix=o"), await listed("?prefix=buildx")]).toEqual([403, 403]);
  expect(await statusOf(ask("DELETE /v1/objects?clear=all", prefixed.bearer))).toBe(403);
  expect(await statusOf(ask("GET /v1/objects/other", a.bearer))).toBe(200);
});

test("a token that only creates gets 412 when the object is there, also when many write at once", async () => {
  const { ask } = started();
  const statuses = await Promise.all(
    Array.from({ length: 20 }, (_, i) => statusOf(ask("PUT /v1/objects/new", creator.bearer, `${i}`))),
  );
  expect(statuses.filter((status) => status === 201).length).toBe(1);
  expect(statuses.filter((status) => status === 412).length).toBe(19);
  const kept = await (await ask("GET /v1/objects/new", creator.bearer)).text();
  expect(kept).toBe(String(statuses.indexOf(201)));
  const etag = (await ask("HEAD /v1/objects/new", creator.bearer)).headers.get("etag") ?? "";
  for (
    const headers of [{ "if-match": etag }, { "if-match": "*" }, { "if-none-match": '"x"' }, { "if-none-match": "*" }]
  ) {
    expect(await statusOf(ask("PUT /v1/objects/new", { ...creator.bearer, ...headers }))).toBe(412);
  }
  expect(await statusOf(ask("PUT /v1/objects/absent", { ...creator.bearer, "if-match": "*" }))).toBe(412);
  expect(await statusOf(ask("PUT /v1/objects/new", all.bearer))).toBe(200);
});

test("an address that brings wrong tokens again and again gets 429 with Retry-After, and its right ones still work", async () => {
  const { ask } = started();
  for (let i = 0; i < MAX_FAILURES; i++) {
    expect(await statusOf(ask("GET /v1/objects/k", { authorization: `Bearer ${i}` }))).toBe(401);
  }
  const limited = await ask("GET /v1/objects/k", { authorization: "Bearer x" });
  expect([limited.status, Number(limited.headers.get("retry-after")) > 0]).toEqual([429, true]);
  expect((await limited.json()).type).toBe("/problems/too-many-failures");
  expect(await statusOf(ask("GET /v1/objects/k", all.bearer))).toBe(404);
  expect(await statusOf(ask("GET /v1/objects/k"))).toBe(401);
});

test("every refusal is an event with its reason, address and token, and none of them has a secret", async () => {
  const failures = FailureTable.allocate(3);
  const { ask, events } = started({ failures });
  await ask("GET /v1/objects/k", a.bearer);
  await ask("GET /v1/objects/k");
  await ask("GET /v1/objects/k", { authorization: "Bearer vit_wrong_secret" });
  await ask("PUT /v1/objects/k", creator.bearer);
  await ask("DELETE /v1/objects/k", creator.bearer);
  const seen = (name: "access.refused" | "http.request.end") => events.named(name);
  expect(seen("access.refused")).toEqual([
    { reason: "missing", route: "/v1/objects/{key}", method: "GET", address: "10.0.0.1" },
    { reason: "unknown", route: "/v1/objects/{key}", method: "GET", address: "10.0.0.1" },
    { reason: "forbidden", route: "/v1/objects/{key}", method: "DELETE", address: "10.0.0.1", token: "creator" },
  ]);
  expect(seen("http.request.end").map((end) => "token" in end ? end.token : "none")).toEqual([
    "a",
    undefined,
    undefined,
    "creator",
    "creator",
  ]);
  const written = JSON.stringify([seen("access.refused"), seen("http.request.end")]);
  for (const secret of [a.secret, creator.secret, "vit_wrong_secret"]) expect(written).not.toContain(secret);
});

test("GET /v1/access tells what the one who asks may do", async () => {
  const { ask } = started();
  expect(await (await ask("GET /v1/access", prefixed.bearer)).json()).toEqual({
    open: false,
    exposed: false,
    token: "prefixed",
    scopes: ["read", "write", "delete"],
    tenant: "a",
    prefix: "builds/",
  });
  expect(await (await ask("GET /v1/access", any.bearer)).json()).toMatchObject({ token: "any", prefix: "" });
  const open = memoryApp(sender);
  const answer = await open.app.fetch(new Request("http://vitrine/v1/access"), {});
  expect(await answer.json()).toEqual({ open: true, exposed: false, scopes: [...SCOPES], prefix: "" });
});

test("/metrics is there for everybody only where that is set", async () => {
  expect(await statusOf(started({ metricsAreOpen: true }).ask("GET /metrics"))).toBe(200);
  expect(await statusOf(started({ metricsAreOpen: true }).ask("GET /status"))).toBe(401);
});

test("what is kept with an object for shared caches is marked as one token's", async () => {
  const { ask } = started();
  await ask("PUT /v1/objects/k", { ...all.bearer, "cache-control": "public, max-age=60" });
  expect((await ask("GET /v1/objects/k", all.bearer)).headers.get("vary")).toBe("Authorization, Vitrine-Tenant");
});

test("other tokens count as soon as they are there", async () => {
  const made: MemoryApp & ReturnType<typeof started> = started();
  const { ask, access } = made;
  expect(await statusOf(ask("GET /v1/objects/k", all.bearer))).toBe(404);
  access.replace([a.entry]);
  expect(await statusOf(ask("GET /v1/objects/k", all.bearer))).toBe(401);
  expect(await statusOf(ask("GET /v1/objects/k", a.bearer))).toBe(404);
});
