import { expect, test } from "bun:test";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";
import { CopyingSender } from "../../src/runtime/sender.ts";

const ORIGIN = "https://app.example";
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const reader = testToken("reader", { scopes: ["read"] });
const writer = testToken("writer", { scopes: ["write"], prefix: "a" });
const creator = testToken("creator", { scopes: ["create-only"] });
const everything = testToken("everything", { scopes: ["read", "write", "delete"] });
const tokens = [reader, writer, creator, everything].map(({ entry }) => entry);

const keys = ["a", "absent", "", "%zz", "a%2Fb", "//", "k".repeat(1025)];
const headers: readonly Readonly<Record<string, string>>[] = [
  {},
  { origin: ORIGIN },
  { origin: "https://elsewhere.example" },
  { "sec-fetch-site": "cross-site" },
  { "vitrine-tenant": "other" },
  { "vitrine-tenant": "x".repeat(129) },
  { "if-none-match": "*" },
  { "if-match": '"other"' },
  { range: "bytes=1-2" },
  { range: "bytes=9-" },
  { traceparent: TRACE },
  reader.bearer,
  writer.bearer,
  creator.bearer,
  { authorization: "Bearer unknown" },
];

/** Status, headers, body and events of every request, each to an app that has one object; `query` follows the key. */
async function answersOf(options: Parameters<typeof memoryApp>[1], query: string): Promise<readonly unknown[]> {
  const { app, events, knobs } = memoryApp(sender, { ...options, allowedHosts: [] });
  const ask = (path: string, init: RequestInit) =>
    app.fetch(new Request(`http://localhost${path}`, init), { addressOf: () => "10.0.0.1" });
  const answers: unknown[] = [];
  for (const failing of [false, true]) {
    for (const method of ["GET", "PUT"]) {
      for (const key of keys) {
        for (const each of headers) {
          knobs.failing = false;
          await ask("/v1/objects/a", { method: "PUT", body: "body", headers: everything.bearer });
          knobs.failing = failing;
          events.clear();
          const init = { method, headers: each, ...(method === "PUT" ? { body: "new" } : {}) };
          const response = await ask(`/v1/objects/${key}${query}`, init);
          const body = await response.text();
          const published = (["http.request.start", "access.refused", "http.request.end"] as const)
            .map((name) => events.named(name));
          answers.push([method, key, each, response.status, Object.fromEntries(response.headers), body, published]);
        }
      }
    }
  }
  expect(app.activeRequests()).toBe(0);
  return answers;
}

for (
  const [name, options] of [
    ["nothing is configured", {}],
    ["pages of an origin are let in", { corsOrigins: [ORIGIN] }],
    ["tokens are configured", { tokens, corsOrigins: [ORIGIN] }],
  ] as const
) {
  // A query means nothing to these requests, and the fast path leaves them to Hono.
  test(`the fast path answers GET and PUT of an object as Hono does when ${name}`, async () => {
    expect(await answersOf(options, "")).toEqual(await answersOf(options, "?x=1"));
  });
}
