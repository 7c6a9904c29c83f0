import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { VitrineError } from "../../../src/core/errors.ts";
import { etagOf, type ObjectMeta } from "../../../src/core/object.ts";
import { formatMeta, TIER_FIELDS } from "../../../src/core/tier_protocol.ts";
import { currentRuntime } from "../../../src/runtime/mod.ts";
import type { L2Adapter } from "../../../src/l2/adapter.ts";
import { Central } from "../../../src/l2/http/central.ts";
import { openTiers } from "../../../src/l2/mod.ts";
import { type MemoryApp, memoryApp } from "../../http/memory_app.ts";
import { testToken } from "../../http/tokens.ts";
import { type Bench, codeOf, holds, inFolder, key, metaOf, newBench, pattern, readAll, sourceOf } from "../support.ts";

/** The central server's clock stands at this time. */
const NOW_MS = 1_800_000_000_000;

interface Opened extends Bench {
  readonly tier: L2Adapter;
  readonly central: MemoryApp;
}

async function open(url: string, serverId = "near"): Promise<Bench & { readonly tier: L2Adapter }> {
  const bench = newBench(NOW_MS);
  const [tier] = await openTiers([url], { ...bench, serverId });
  if (tier === undefined) throw new Error("open tier: none");
  return { ...bench, tier };
}

/** Runs a test with a central server on a socket, and a tier in it. */
async function withCentral(
  body: (opened: Opened) => Promise<void>,
  { options = {}, query = "", serverId = "near" }: {
    readonly options?: Parameters<typeof memoryApp>[1];
    readonly query?: string;
    readonly serverId?: string;
  } = {},
): Promise<void> {
  const runtime = currentRuntime();
  const central = memoryApp(runtime.createSender({ idleTimeoutSeconds: 60 }), options);
  const server = runtime.serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 60,
    exactPaths: central.app.exactPaths,
    fetch: central.app.fetch,
    onError: (error) => {
      throw error;
    },
  });
  const opened = await open(`http://127.0.0.1:${server.address.port}${query}`, serverId);
  try {
    await body({ ...opened, central });
  } finally {
    await opened.tier.close();
    await server.stop();
  }
}

const objectOf = (central: MemoryApp, name: string, tenant = "") => central.storage.head(key(name, tenant));

test("HttpAdapter keeps prefix and tenant of its URL", async () => {
  await withCentral(async ({ tier, central }) => {
    await tier.store(key("a"), sourceOf(pattern(10)));
    expect(await holds(tier, key("a"), pattern(10))).toBe(true);
    expect(await objectOf(central, "ci/a", "team")).toMatchObject({ meta: { sizeBytes: 10 } });
    expect((await tier.list({ tenant: "", prefix: "", after: "", limit: 9 })).entries.map((each) => each.key)).toEqual([
      "a",
    ]);
    await expect(tier.lookup(key("a", "team"))).rejects.toThrow("default tenant alone");
  }, { query: "/ci/?tenant=team" });
});

test("HttpAdapter asks for the tenant of the object when its URL has none", async () => {
  await withCentral(async ({ tier, central }) => {
    await tier.store(key("a", "team"), sourceOf(pattern(10)));
    expect(await objectOf(central, "a", "team")).toMatchObject({ tier: "l1" });
    expect(await objectOf(central, "a")).toBe(undefined);
  });
});

test("HttpAdapter asks about many keys in one request, under its prefix, and fails if the server could not say", async () => {
  await withCentral(async ({ tier, central }) => {
    for (const name of ["k0", "k9"]) await tier.store(key(name), sourceOf(pattern(10)));
    const names = Array.from({ length: 1000 }, (_, i) => key(`k${i}`));
    const asked: string[] = [];
    const { storage } = central;
    const [lookUp, head] = [storage.lookup.bind(storage), storage.head.bind(storage)];
    storage.lookup = (keys, options) => (asked.push(`lookup ${keys.length}`), lookUp(keys, options));
    storage.head = (at, listener) => (asked.push("head"), head(at, listener));
    const held = await tier.has(names);
    expect([asked, held.flatMap((isHeld, i) => isHeld ? [i] : [])]).toEqual([["lookup 1000"], [0, 9]]);
    central.knobs.failing = true;
    expect(await codeOf(tier.has(names))).toBe("tier_failed");
    expect(await tier.has(names.slice(0, 1))).toEqual([true]);
    await expect(tier.has([key("a", "team")])).rejects.toThrow("default tenant alone");
  }, { query: "/ci/?tenant=team" });
});

test("HttpAdapter tells the reason that the server gave for a miss", async () => {
  await withCentral(async ({ tier }) => {
    expect(tier.missReason?.(key("a"))).toBe(undefined);
    expect(await tier.lookup(key("a"))).toBe(undefined);
    expect(tier.missReason?.(key("a"))).toBe("never_stored");
    await tier.store(key("a"), sourceOf(pattern(10)));
    await tier.delete(key("a"));
    expect(await tier.load(key("a"))).toBe(undefined);
    expect(tier.missReason?.(key("a"))).toBe("deleted");
  });
});

test("HttpAdapter has the server check the source's precondition, and the source say that it does not hold", async () => {
  await withCentral(async ({ tier, removed }) => {
    const first = await tier.store(key("a"), sourceOf(pattern(10)));
    const refusal = new VitrineError("precondition_failed", "it does not hold");
    const seen: unknown[] = [];
    const source = {
      ...sourceOf(pattern(20)),
      precondition: () => ({ noneMatch: "*" as const }),
      assertWanted(replaced?: { readonly meta: ObjectMeta | undefined }): void {
        if (replaced === undefined) return;
        seen.push(replaced.meta);
        throw refusal;
      },
    };
    expect(await tier.store(key("a"), source).catch((error: unknown) => error)).toBe(refusal);
    expect([seen, removed]).toEqual([[first], []]);
    const match = { ...sourceOf(pattern(30)), precondition: () => ({ match: [etagOf(first)] }) };
    expect(await tier.store(key("a"), match)).toMatchObject({ sizeBytes: 30 });
  });
});

test("HttpAdapter takes a store for done when a token that may only create has stored this very object before", async () => {
  const creator = testToken("creator", { scopes: ["read", "create-only"] });
  await inFolder(async (folder) => {
    const file = join(folder, "token");
    writeFileSync(file, `${creator.secret}\n`);
    await withCentral(async ({ tier }) => {
      const meta = metaOf(pattern(10));
      const source = () => ({ ...sourceOf(pattern(10)), meta: () => meta });
      expect(await tier.store(key("a"), source())).toEqual(meta);
      expect(await tier.store(key("a"), source())).toEqual(meta);
      expect(await codeOf(tier.store(key("a"), sourceOf(pattern(10))))).toBe("tier_failed");
    }, { options: { tokens: [creator.entry] }, query: `?token-file=${file}` });
  });
});

test("HttpAdapter takes the token from the environment, and says that the server refuses it", async () => {
  const all = testToken("all", { scopes: ["read", "write", "delete"] });
  const options = { tokens: [all.entry] };
  process.env["VITRINE_TEST_TOKEN"] = all.secret;
  await withCentral(async ({ tier }) => {
    expect(tier.trouble).toBe(undefined);
    await tier.store(key("a"), sourceOf(pattern(10)));
    await expect(tier.lookup(key("a", "other"))).rejects.toThrow("403: check token");
  }, { options, query: "?token-env=VITRINE_TEST_TOKEN" });
  process.env["VITRINE_TEST_TOKEN"] = "wrong";
  await withCentral(async ({ tier }) => {
    expect(tier.trouble).toContain("401: check token");
    await expect(tier.lookup(key("a"))).rejects.toThrow("401: check token");
  }, { options, query: "?token-env=VITRINE_TEST_TOKEN" });
  delete process.env["VITRINE_TEST_TOKEN"];
  await withCentral(async ({ tier }) => {
    expect(tier.trouble).toContain("VITRINE_TEST_TOKEN is not set");
  }, { options, query: "?token-env=VITRINE_TEST_TOKEN" });
});

test("HttpAdapter refuses a ring of servers when it is opened", async () => {
  await withCentral(async ({ tier }) => {
    expect(tier.trouble).toContain("a ring of servers");
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
  }, { options: { serversBehind: ["far", "front"] }, serverId: "front" });
  await withCentral(async ({ tier }) => {
    expect(tier.trouble).toContain("a ring of servers");
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
  }, { serverId: "this-server" });
  await withCentral(async ({ tier }) => {
    expect(tier.trouble).toBe(undefined);
    expect(tier.serversBehind).toEqual(["this-server", "far"]);
  }, { options: { serversBehind: ["far"] } });
});

/** A server of the tests that answers as it is told. */
class FakeCentral {
  readonly #server: Server;
  /** Answers all requests but probes. */
  answer: (response: ServerResponse) => void = (response) => response.end();
  requests = 0;
  /** Requests with a token that is refused. */
  refusals = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      response.setHeader(TIER_FIELDS.server, "fake");
      if (request.headers.authorization === "Bearer refused") {
        this.refusals += 1;
        return response.writeHead(401).end();
      }
      if (request.url === "/v1/tier") return response.end('{"servers":["fake"]}');
      this.requests += 1;
      request.resume();
      this.answer(response);
      return response;
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const fake = new FakeCentral();
let fakeUrl = "";
beforeAll(async () => {
  fakeUrl = await fake.start();
});
afterAll(() => fake.stop());

const bytes = pattern(1000);
const meta = metaOf(bytes);
const found = (response: ServerResponse, body: Uint8Array, length = body.length) => {
  response.writeHead(200, { [TIER_FIELDS.meta]: formatMeta(meta), "content-length": String(length) });
  response.write(body);
};

for (
  const [what, answer, named] of [
    ["are others", (response) => found(response, pattern(1000, 2)), "another checksum"],
    ["are too few", (response) => found(response, bytes.subarray(1)), "999 bytes came"],
    ["are too many", (response) => found(response, pattern(1001)), "1001 bytes came"],
    ["break off", (response) => {
      found(response, bytes.subarray(0, 500), 1000);
      setTimeout(() => response.destroy(), 20);
    }, "broke off"],
  ] as const satisfies readonly (readonly [string, (response: ServerResponse) => void, string])[]
) {
  test(`a load fails, and never gives all bytes, when those that come ${what}`, async () => {
    const { tier } = await open(fakeUrl);
    fake.answer = (response) => {
      answer(response);
      if (named !== "broke off") response.end();
    };
    const load = await tier.load(key("a"));
    let received = 0;
    const reading = (async () => {
      for await (const chunk of load?.chunks ?? []) received += chunk.length;
    })();
    await expect(reading).rejects.toThrow(named);
    expect(received < 1000).toBe(true);
    await tier.close();
  });
}

for (
  const [what, answer] of [
    ["names no server", (response: ServerResponse) => {
      response.removeHeader(TIER_FIELDS.server);
      response.writeHead(404).end("not here");
    }],
    ["leads elsewhere", (response: ServerResponse) => response.writeHead(302, { location: "/elsewhere" }).end()],
    ["has no metadata", (response: ServerResponse) => response.writeHead(200).end()],
    ["has unsound metadata", (response: ServerResponse) => response.writeHead(200, { [TIER_FIELDS.meta]: "x" }).end()],
    ["is an error", (response: ServerResponse) => response.writeHead(500).end()],
  ] as const
) {
  test(`an answer is a failure and no miss when it ${what}`, async () => {
    const { tier } = await open(fakeUrl);
    fake.answer = answer;
    const calls: readonly (() => Promise<unknown>)[] = [
      () => tier.lookup(key("a")),
      () => tier.load(key("a")),
      () => tier.delete(key("a")),
      () => tier.list({ tenant: "", prefix: "", after: "", limit: 1 }),
    ];
    for (const call of calls) expect(await codeOf(call())).toBe("tier_failed");
    await tier.close();
  });
}

test("a request is repeated when its connection breaks, but not one with a body", async () => {
  const { tier } = await open(fakeUrl);
  fake.requests = 0;
  fake.answer = (response) => {
    if (fake.requests < 3) response.destroy();
    else response.writeHead(404).end();
  };
  expect(await tier.lookup(key("a"))).toBe(undefined);
  expect(fake.requests).toBe(3);
  fake.requests = 0;
  expect(await codeOf(tier.store(key("a"), sourceOf(pattern(10))))).toBe("tier_failed");
  expect(fake.requests).toBe(1);
  await tier.close();
});

test("a store has no room when the server has none, or takes no object of this size", async () => {
  const { tier } = await open(fakeUrl);
  for (const status of [413, 507]) {
    fake.answer = (response) => response.writeHead(status).end();
    expect(await codeOf(tier.store(key("a"), sourceOf(pattern(10))))).toBe("no_room");
  }
  await tier.close();
});

test("a load of a range gives its bytes alone", async () => {
  await withCentral(async ({ tier }) => {
    await tier.store(key("a"), sourceOf(pattern(5000)));
    const part = await readAll(await tier.load(key("a"), { start: 100, end: 4000 }));
    expect(Buffer.compare(part ?? pattern(1), pattern(5000).subarray(100, 4000))).toBe(0);
  });
});

test("Central sends no token again that was refused, and another one at once", async () => {
  let token = "refused";
  let changes = 0;
  const settings = { origin: fakeUrl, prefix: "", tenant: undefined, token: undefined };
  const central = new Central({
    settings,
    serverId: "near",
    token: () => token,
    onFailed() {},
    onChanged: () => void (changes += 1),
  });
  for (let turn = 0; turn < 3; turn += 1) await expect(central.probe()).rejects.toThrow("401");
  expect(fake.refusals).toBe(1);
  token = "another";
  await central.probe();
  expect([fake.refusals, central.serversBehind, changes]).toEqual([1, ["fake"], 1]);
  await central.probe();
  expect(changes).toBe(1);
});
