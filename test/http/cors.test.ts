import { expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const token = testToken("page", { scopes: ["read", "write", "delete"] });
const FRIEND = "https://app.example";
const PREFLIGHT = {
  "access-control-request-method": "PUT",
  "access-control-request-headers": "authorization, content-type",
};

function started(corsOrigins: readonly string[]) {
  const { app } = memoryApp(sender, { tokens: [token.entry], corsOrigins });
  return async (target: string, headers: Readonly<Record<string, string>>) => {
    const [method = "", path = ""] = target.split(" ");
    const init = { method, headers, ...(method === "PUT" ? { body: "x" } : {}) };
    return await app.fetch(new Request(`http://vitrine${path}`, init), {});
  };
}

test("a page of an origin that is named may do what its token allows, and see the answer", async () => {
  const ask = started([FRIEND]);
  const preflight = await ask("OPTIONS /v1/objects/k", {
    origin: FRIEND,
    ...PREFLIGHT,
    "sec-fetch-site": "cross-site",
  });
  expect([preflight.status, Object.fromEntries(preflight.headers)]).toEqual([204, {
    "access-control-allow-origin": FRIEND,
    "access-control-allow-methods": "GET, HEAD, PUT, POST, DELETE",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
    "access-control-expose-headers": expect.stringContaining("etag"),
    vary: "Origin",
  }]);
  const browser = { origin: FRIEND, "sec-fetch-site": "cross-site" };
  for (
    const [target, status] of [["PUT /v1/objects/k", 201], ["GET /v1/objects/k", 200], [
      "GET /v1/objects",
      200,
    ]] as const
  ) {
    const answer = await ask(target, { ...browser, ...token.bearer });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([status, FRIEND]);
    expect(answer.headers.get("vary")).toContain("Origin");
    // A cross-origin page cannot use a browser's own credentials.
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
    const refused = await ask(target, browser);
    expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, FRIEND]);
  }
});

test("a page of another origin is refused whether some are named or not, with a right token too", async () => {
  for (const origins of [[], [FRIEND]]) {
    const ask = started(origins);
    for (
      const origin of [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "null",
        `${FRIEND}:444`,
      ]
    ) {
      for (const target of ["PUT /v1/objects/k", "DELETE /v1/objects/k", "GET /v1/objects", "OPTIONS /v1/objects/k"]) {
        const answer = await ask(target, { origin, ...PREFLIGHT, ...token.bearer });
        expect([origin, target, answer.status]).toEqual([origin, target, 403]);
        expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      }
      const read = await ask("GET /v1/objects/k", { origin, ...token.bearer });
      expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([404, null]);
    }
  }
});

test("a preflight is refused when no origin is named", async () => {
  const answer = await started([])("OPTIONS /v1/objects/k", {
    host: "vitrine",
    origin: "http://vitrine",
    ...PREFLIGHT,
  });
  expect([answer.status, answer.headers.get("access-control-allow-methods")]).toEqual([405, null]);
});
