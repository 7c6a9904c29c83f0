import { afterAll, expect, test } from "bun:test";
import fc from "fast-check";
import { formatToken } from "../../src/access/tokens.ts";
import type { RunningServer } from "../../src/compose/server.ts";
import { startSingle } from "../../src/compose/single.ts";
import { testToken } from "../http/tokens.ts";
import { serverOptions } from "./server_options.ts";

const SECRET = "secret-of-b";
const rights = { scopes: ["read", "write", "create-only", "delete"] as const };
const a = testToken("a", { scopes: [...rights.scopes], tenant: "a" });
const b = testToken("b", { scopes: [...rights.scopes], tenant: "b" });
const tokens = [a, b].map(({ entry }) => formatToken(entry)).join("\n");

function start(): Promise<RunningServer> {
  return startSingle(serverOptions([
    ...["--port", "0", "--l1-size", "16MiB", "--l2", "none"],
    ...["--tokens", tokens, "--metrics-access", "open", "--log-level", "error"],
  ], { errors }));
}

const errors: unknown[] = [];
/** In the first, B does things beside A; in the second, A is alone. */
const worlds = [await start(), await start()] as const;

afterAll(() => Promise.all(worlds.map((world) => world.stop())));

/** One call: method and path, a body for PUT, fields. */
interface Action {
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const keys = ["x", "y", "x/y", "x%2Fz", "z"];
/** Asked for by A too, but never written by it. */
const hidden = `/v1/objects/${SECRET}`;
const paths = [
  ...keys.map((key) => `/v1/objects/${key}`),
  ...keys.map((key) => `/v1/objects/${key}?explain=1`),
];
const queries = [
  "",
  "?prefix=x",
  "?limit=1",
  "?limit=2&prefix=x",
  "?tier=l1",
  `?prefix=${SECRET}`,
  `?cursor=${btoa("x").replaceAll("=", "")}`,
];
const conditions = [{}, { "if-match": "*" }, { "if-none-match": "*" }, { "if-match": '"0-0"' }, { range: "bytes=0-0" }];
const forged = [{ "vitrine-tenant": "b" }, { "vitrine-tenant": "" }, { "vitrine-tenant": "a" }];

const targetOfA = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom("GET", "HEAD", "PUT", "DELETE"), fc.constantFrom(...paths)) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constant("GET"), fc.constantFrom(...queries.map((each) => `/v1/objects${each}`))),
  },
  { weight: 1, arbitrary: fc.constant(["DELETE", "/v1/objects?clear=all"] as const) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("GET"),
      fc.constantFrom("/status", "/config", "/v1/events", "/v1/events?tenant=a", "/v1/access", "/version"),
    ),
  },
);
const headersOfA = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...conditions) },
  { weight: 1, arbitrary: fc.constantFrom(...forged) },
);
const actionOfA: fc.Arbitrary<Action> = fc.record({
  target: targetOfA.map((parts) => parts.join(" ")),
  headers: headersOfA,
  body: fc.constantFrom("", "short", "a longer one"),
});
const actionOfB: fc.Arbitrary<Action> = fc.record({
  target: fc.oneof(
    fc.tuple(fc.constantFrom("GET", "PUT", "PUT", "DELETE"), fc.constantFrom(hidden, ...paths.slice(0, keys.length))),
    fc.constant(["DELETE", "/v1/objects?clear=all"] as const),
  ).map((parts) => parts.join(" ")),
  headers: fc.constant({ "content-type": `text/${SECRET}`, "vitrine-meta-b": SECRET }),
  body: fc.constantFrom(SECRET, SECRET.repeat(100)),
});
const step = fc.record({ ofB: fc.array(actionOfB, { maxLength: 3 }), ofA: actionOfA });

async function ask(world: RunningServer, { target, headers, body }: Action, token: typeof a): Promise<Response> {
  const [method = "", path = ""] = target.split(" ");
  return await fetch(`http://127.0.0.1:${world.address.port}${path}`, {
    method,
    headers: { ...headers, ...token.bearer },
    ...(method === "PUT" ? { body } : {}),
  });
}

/** What A sees of an answer, without the times and the names of versions, which differ by themselves. */
async function seen(response: Response): Promise<string> {
  const own = new Set(["date", "etag", "age", "server-timing", "connection", "keep-alive", "content-length"]);
  const headers = Array.from(response.headers).filter(([name]) => !own.has(name));
  const text = (await response.text()).replaceAll(
    /\\?"[0-9a-f]{8}-[0-9a-z]+\\?"|\d{4}-\d\d-\d\dT[\d:.]+Z|"seconds":[\d.e-]+/g,
    "…",
  );
  return JSON.stringify([response.status, headers, text]);
}

test("whatever A does with its token, it sees the same whether B is there or not, and nothing of B's", async () => {
  let answers = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 15 }), async (steps) => {
      for (const { ofB, ofA } of steps) {
        for (const action of ofB) await (await ask(worlds[0], action, b)).arrayBuffer();
        const [beside, alone] = [await seen(await ask(worlds[0], ofA, a)), await seen(await ask(worlds[1], ofA, a))];
        expect([ofA.target, beside]).toEqual([ofA.target, alone]);
        // Its own question may come back to it.
        if (!ofA.target.includes(SECRET)) expect(beside).not.toContain(SECRET);
        answers++;
      }
    }),
    { numRuns: 30 },
  );
  expect(answers).toBeGreaterThan(100);
  expect(errors).toEqual([]);
});

test("metrics that A may read name neither B nor its keys", async () => {
  const response = await ask(worlds[0], { target: "GET /metrics", headers: {}, body: "" }, a);
  const text = await response.text();
  expect([response.status, text.includes(SECRET), /="b"/.test(text)]).toEqual([200, false, false]);
});
