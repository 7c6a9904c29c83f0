import { expect, test } from "bun:test";
import { Access } from "../../src/access/access.ts";
import { FailureTable } from "../../src/access/failure_table.ts";
import { createApp } from "../../routes/service_app.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import type { TracedRequest } from "../../src/core/events.ts";
import { TenantQuotas } from "../../src/storage/quotas.ts";
import { makeL1 } from "../l1/support.ts";
import { MemoryStorage } from "../support/memory_storage.ts";
import type { EventMap, EventName } from "../../src/events/catalogue.ts";

const OPEN = new Access(undefined, new FailureTable(FailureTable.allocate(1), { monotonicMs: () => 0 }));
const REQUEST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/**
 * An app that follows as it is told, over a storage with nothing in it; the clock moves a millisecond each time it is
 * read.
 */
function app(follow: (traceParent: string | null) => TracedRequest | undefined) {
  let nowMs = 1000;
  const clock = { nowMs: () => nowMs++, monotonicMs: () => nowMs++ };
  const events: { readonly name: EventName; readonly fields: object }[] = [];
  const publish = <Name extends EventName>(name: Name, fields: EventMap[Name]): void => {
    events.push({ name, fields });
  };
  const { fetch } = createApp({
    storage: new MemoryStorage({ clock, maxObjectBytes: 1000, l1LimitBytes: 1000 }),
    quotas: new TenantQuotas({ l1: makeL1().l1, file: undefined, publish, turn: () => Promise.resolve() }),
    sender: currentRuntime().createSender({ idleTimeoutSeconds: 60 }),
    publish,
    clock,
    follow,
    version: {},
    config: () => ({}),
    status: () => Promise.resolve({}),
    metricsText: () => Promise.resolve("up 1\n"),
    allowedHosts: ["vitrine", "v"],
    access: OPEN,
    metricsAreOpen: false,
    isExposed: false,
    corsOrigins: [],
    isAlive: () => true,
    events: () => Promise.reject(new Error("no events")),
    unready: () => undefined,
    reportError: () => {},
    discard: () => {},
    servers: { own: "this-server", behind: () => [] },
    s3: { hosts: [], md5: true },
  });
  const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(new Request(`http://v${path}`, { headers }), {});
  const named = (name: EventName) => events.filter((each) => each.name === name).map(({ fields }) => fields);
  const put = (path: string, body: string) => fetch(new Request(`http://v${path}`, { method: "PUT", body }), {});
  return { named, get, put };
}

test("a followed request's events carry its id, parent, tenant and time to headers, and its response echoes the traceparent", async () => {
  const asked: (string | null)[] = [];
  const { named, get } = app((traceParent) => {
    asked.push(traceParent);
    return { requestId: REQUEST, traceParent: "parent" };
  });
  const response = await get("/v1/objects/a%2Fb", { traceparent: "from outside", "vitrine-tenant": "t" });
  expect(asked).toEqual(["from outside"]);
  expect(response.headers.get("traceparent")).toBe(REQUEST);
  expect(named("http.request.start")).toEqual([
    { route: "/v1/objects/{key}", method: "GET", requestId: REQUEST, traceParent: "parent" },
  ]);
  // Server-Timing, the span and the metric tell one time.
  const [, headersMs] = /total;dur=(\S+)/.exec(response.headers.get("server-timing") ?? "") ?? [];
  const seconds = Number(headersMs) / 1000;
  const details = { requestId: REQUEST, tenant: "t", parameter: "a%2Fb", headersMs };
  expect(named("http.request.end")).toMatchObject([{ status: "404", seconds, ...details }]);
});

test("a hit in L1 has Server-Timing if it is followed, the same time as its span, and never otherwise", async () => {
  const { named, get, put } = app((traceParent) => traceParent === null ? undefined : { requestId: REQUEST });
  await put("/v1/objects/a", "text");
  const [, l1Ms, totalMs] = /^l1;dur=(\S+), total;dur=(\S+)$/.exec(
    (await get("/v1/objects/a", { traceparent: "x" })).headers.get("server-timing") ?? "",
  ) ?? [];
  expect(l1Ms === totalMs && totalMs !== undefined).toBe(true);
  expect(named("http.request.end").at(-1)).toMatchObject({ status: "200", seconds: Number(totalMs) / 1000 });
  expect((await get("/v1/objects/a")).headers.has("server-timing")).toBe(false);
});

test("a request that is not followed has no details and no traceparent", async () => {
  const { named, get } = app(() => undefined);
  const response = await get("/healthz", { traceparent: REQUEST });
  expect(response.headers.get("traceparent")).toBeNull();
  expect(named("http.request.start")).toEqual([{ route: "/healthz", method: "GET" }]);
  expect(Object.keys(named("http.request.end")[0] ?? {})).not.toContain("requestId");
});

test("a request that is not followed and fails tells its caller's span with its end when it sent a valid one", async () => {
  const { named, get } = app(() => undefined);
  for (const traceparent of [REQUEST, "nonsense"]) {
    const response = await get("/v1/events", { traceparent });
    expect([response.status, response.headers.get("traceparent")]).toEqual([500, null]);
  }
  await get("/v1/events");
  await get("/v1/nowhere", { traceparent: REQUEST });
  const ids = named("http.request.end").map((end) => "requestId" in end ? end.requestId : "none");
  expect(ids).toEqual([REQUEST.replace(/01$/, "00"), "none", "none", "none"]);
});

test("http.body tells the length of a body that is not empty, with the end of its request", async () => {
  const { named, get } = app(() => undefined);
  await (await get("/metrics")).text();
  expect(named("http.body")).toEqual([
    { direction: "response", route: "/metrics", method: "GET", status: "200", bytes: 5 },
  ]);
});
