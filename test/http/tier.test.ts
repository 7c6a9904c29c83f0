import { expect, test } from "bun:test";
import { etagOf, type ObjectMeta, type Precondition } from "../../src/core/object.ts";
import {
  encodeTail,
  formatMeta,
  fromBase64,
  parseMeta,
  TIER_FIELDS,
  TIER_LOOKUP,
  TIER_OBJECTS,
  TIER_PATH,
  toBase64,
} from "../../src/core/tier_protocol.ts";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { metaOf, pattern } from "../l2/support.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });

type Headers = Readonly<Record<string, string>>;

function started(options: Parameters<typeof memoryApp>[1] = {}) {
  const made = memoryApp(sender, options);
  const ask = async (target: string, headers: Headers = {}, body?: Uint8Array<ArrayBuffer>) => {
    const [method = "", path = ""] = target.split(" ");
    const request = new Request(`http://vitrine${path}`, { method, headers, ...(body && { body }) });
    return await made.app.fetch(request, { addressOf: () => "10.0.0.1" });
  };
  const store = async (
    key: string,
    meta: ObjectMeta,
    { bytes, early = meta, precondition, headers = {} }: {
      readonly bytes: Uint8Array;
      readonly early?: ObjectMeta;
      readonly precondition?: Precondition;
      readonly headers?: Headers;
    },
  ) => {
    const body = new Uint8Array(Buffer.concat([bytes, encodeTail({ meta, precondition })]));
    return await ask(`PUT ${pathOf(key)}`, { [TIER_FIELDS.meta]: formatMeta(early), ...headers }, body);
  };
  return { ...made, ask, store };
}

const pathOf = (key: string) => `${TIER_OBJECTS}/${toBase64(key)}`;

test("the tier's interface keeps version, times and fields of an object, which clients see, too", async () => {
  const { ask, store } = started();
  const bytes = pattern(1000);
  const createdMs = 1_799_999_000_000.5;
  const headers = "vitrine-meta-a:ÿ\n";
  const meta = metaOf(bytes, { createdMs, expiresMs: createdMs + 5_000_000, contentType: "text/plain", headers });
  const stored = await store("a/../b", meta, { bytes });
  expect([stored.status, stored.headers.get("etag")]).toEqual([201, etagOf(meta)]);
  expect(stored.headers.get(TIER_FIELDS.replaced)).toBe(null);
  for (const method of ["GET", "HEAD"]) {
    const answer = await ask(`${method} ${pathOf("a/../b")}`);
    expect(parseMeta(answer.headers.get(TIER_FIELDS.meta))).toEqual(meta);
  }
  const read = await ask("GET /v1/objects/a%2F..%2Fb");
  expect([read.headers.get("etag"), read.headers.get("content-type")]).toEqual([etagOf(meta), "text/plain"]);
  expect([read.headers.get("age"), read.headers.get("cache-control")]).toEqual(["999", "max-age=5000"]);
  const next = metaOf(pattern(10));
  const replacing = await store("a/../b", next, { bytes: pattern(10) });
  expect([replacing.status, parseMeta(replacing.headers.get(TIER_FIELDS.replaced))]).toEqual([200, meta]);
});

test("the tier's interface gives as many bytes of a range as there are", async () => {
  const { ask, store, storage } = started();
  const bytes = pattern(200_000);
  await store("a", metaOf(bytes), { bytes });
  for (const [start, end] of [[0, 10], [5, 199_999], [199_999, 300_000], [7, 7], [300_000, 400_000]] as const) {
    const answer = await ask(`GET ${pathOf("a")}`, { [TIER_FIELDS.range]: `${start}-${end}` });
    expect(answer.status).toBe(200);
    expect(Buffer.compare(new Uint8Array(await answer.arrayBuffer()), bytes.subarray(start, end))).toBe(0);
  }
  expect((await ask(`GET ${pathOf("a")}`, { [TIER_FIELDS.range]: "5" })).status).toBe(400);
  expect(storage.open.reads).toBe(0);
});

test("the tier's interface holds the condition at the end of the body", async () => {
  const { ask, store } = started();
  const bytes = pattern(100);
  const first = metaOf(bytes);
  expect((await store("a", first, { bytes, precondition: { noneMatch: "*" } })).status).toBe(201);
  expect((await store("a", metaOf(bytes), { bytes, precondition: { noneMatch: "*" } })).status).toBe(412);
  expect((await store("a", metaOf(bytes), { bytes, precondition: { match: ['"other"'] } })).status).toBe(412);
  expect(parseMeta((await ask(`HEAD ${pathOf("a")}`)).headers.get(TIER_FIELDS.meta))).toEqual(first);
  const second = metaOf(bytes);
  expect((await store("a", second, { bytes, precondition: { match: [etagOf(first)] } })).status).toBe(200);
  expect((await ask(`DELETE ${pathOf("a")}`, { "if-match": etagOf(first) })).status).toBe(412);
  expect((await ask(`DELETE ${pathOf("a")}`, { "if-match": etagOf(second) })).status).toBe(204);
  expect((await ask(`DELETE ${pathOf("a")}`, { "if-match": etagOf(second) })).status).toBe(404);
});

test("the tier's interface stores nothing when body, header and metadata do not fit together", async () => {
  const { ask, store, storage } = started();
  const bytes = pattern(100);
  const meta = metaOf(bytes);
  const refusals = [
    await store("a", { ...meta, crc32: 1 }, { bytes }),
    await store("a", meta, { bytes: pattern(99) }),
    await store("a", meta, { bytes, early: { ...meta, sizeBytes: 99 } }),
    await store("a", meta, { bytes, early: { ...meta, contentType: "other/type" } }),
    await store("a", meta, { bytes, early: { ...meta, headers: "a:b\n" } }),
    await store("a", meta, { bytes, headers: { [TIER_FIELDS.meta]: "x" } }),
    await ask(`PUT ${pathOf("a")}`, { [TIER_FIELDS.meta]: formatMeta(meta) }, new Uint8Array(bytes)),
    await ask(`PUT ${TIER_OBJECTS}/YQ==`, { [TIER_FIELDS.meta]: formatMeta(meta) }, encodeTail({ meta })),
  ];
  expect(refusals.map(({ status }) => status)).toEqual(refusals.map(() => 400));
  expect((await ask(`HEAD ${pathOf("a")}`)).status).toBe(404);
  expect(storage.open).toEqual({ reads: 0, uploads: 0 });
});

test("the tier's interface lists keys with their metadata", async () => {
  const { ask, store } = started();
  const metas = new Map<string, ObjectMeta>();
  for (const key of ["b", "a/1", "a/2", "a/ü"]) {
    const meta = metaOf(pattern(10));
    metas.set(key, meta);
    await store(key, meta, { bytes: pattern(10) });
  }
  const query = (after: string) => `?prefix=${toBase64("a/")}&after=${toBase64(after)}&limit=2`;
  const entries = (...keys: string[]) => keys.map((key) => ({ key, meta: metas.get(key) }));
  const list = async (after: string) => await (await ask(`GET ${TIER_OBJECTS}${query(after)}`)).json();
  expect(await list("")).toEqual({ entries: entries("a/1", "a/2"), more: true });
  expect(await list("a/2")).toEqual({ entries: entries("a/ü"), more: false });
  for (const bad of ["", "?limit=1", `${query("")}&x=1`, "?prefix=&after=&limit=1001", "?prefix=%C3&after=&limit=1"]) {
    expect([bad, (await ask(`GET ${TIER_OBJECTS}${bad}`)).status]).toEqual([bad, 400]);
  }
});

test("the tier's interface names the server in every answer, and the reason of misses and refusals", async () => {
  const { ask, knobs } = started();
  const miss = await ask(`HEAD ${pathOf("a")}`);
  expect([miss.status, miss.headers.get("cache-status")]).toEqual([404, "vitrine; fwd=miss; detail=never_stored"]);
  knobs.failing = true;
  const failed = await ask(`HEAD ${pathOf("a")}`);
  expect([failed.status, fromBase64(failed.headers.get(TIER_FIELDS.reason) ?? "")]).toEqual([503, "look up: down"]);
  for (const answer of [miss, failed, await ask(`GET ${TIER_PATH}`)]) {
    expect(answer.headers.get(TIER_FIELDS.server)).toBe("this-server");
  }
  expect((await ask("GET /v1/objects/a")).headers.get(TIER_FIELDS.server)).toBe(null);
});

test("the tier's interface refuses a ring: requests of the servers that its own tiers lead to", async () => {
  const { ask } = started({ serversBehind: ["next", "last"] });
  // The probe is answered in a ring, too: the server that asks finds its own name in the answer.
  for (const via of ["1.1 front", "1.1 last", "1.1 this-server"]) {
    const { servers } = await (await ask(`GET ${TIER_PATH}`, { via })).json();
    expect([via, servers]).toEqual([via, ["this-server", "next", "last"]]);
  }
  for (const via of ["1.1 this-server", "1.1 last", "1.0 proxy (x), 1.1 next"]) {
    const refused = await ask(`HEAD ${pathOf("a")}`, { via });
    expect([via, refused.status]).toEqual([via, 508]);
    expect(fromBase64(refused.headers.get(TIER_FIELDS.reason) ?? "")).toContain("a ring of servers");
    const { type } = await (await ask(`GET ${pathOf("a")}`, { via })).json();
    expect(type).toBe("/problems/loop-detected");
    const keys = new TextEncoder().encode('{"keys":["a"]}');
    expect((await ask(`POST ${TIER_LOOKUP}`, { via }, keys)).status).toBe(508);
  }
  for (const via of ["", "1.1 front", "1.1 lasting", "last"]) {
    expect((await ask(`HEAD ${pathOf("a")}`, { via })).status).toBe(404);
  }
});

test("the tier's interface keeps tokens to their tenant, their prefix and new objects", async () => {
  const all = testToken("all", { scopes: ["read", "write", "delete"], tenant: "a", prefix: "ci/" });
  const creator = testToken("creator", { scopes: ["read", "create-only"], tenant: "a" });
  const { ask, store } = started({ tokens: [all.entry, creator.entry] });
  const put = async (key: string, headers: Headers) =>
    (await store(key, metaOf(pattern(10)), { bytes: pattern(10), headers })).status;
  const mine = { ...all.bearer, "vitrine-tenant": "a" };
  expect(await put("ci/x", {})).toBe(401);
  expect(await put("ci/x", { ...all.bearer, "vitrine-tenant": "" })).toBe(403);
  expect(await put("other", mine)).toBe(403);
  expect(await put("ci/x", mine)).toBe(201);
  expect(await put("ci/x", mine)).toBe(200);
  const create = { ...creator.bearer, "vitrine-tenant": "a" };
  expect([await put("ci/x", create), await put("new", create)]).toEqual([412, 201]);
  expect((await ask(`GET ${pathOf("new")}`, mine)).status).toBe(403);
  const heldOf = async (...keys: string[]) => {
    const answer = await ask(`POST ${TIER_LOOKUP}`, mine, new TextEncoder().encode(JSON.stringify({ keys })));
    return answer.ok ? (await answer.json()).held : answer.status;
  };
  expect([await heldOf("ci/x", "ci/y"), await heldOf("ci/x", "new"), await heldOf()]).toEqual([
    [true, false],
    403,
    400,
  ]);
  expect((await ask(`DELETE ${pathOf("new")}`, create)).status).toBe(403);
});
