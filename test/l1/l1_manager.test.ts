import { expect, test } from "bun:test";
import { VitrineError } from "../../src/core/errors.ts";
import { MAX_KEPT_HEADER_BYTES } from "../../src/core/object.ts";
import type { EventMap } from "../../src/events/catalogue.ts";
import { planArena } from "../../src/l1/arena/layout.ts";
import type { WriteRefusal } from "../../src/l1/types.ts";
import {
  audit,
  bytesOf,
  clear,
  commit,
  fill,
  get,
  keysOf,
  makeL1,
  MIB,
  put,
  request,
  resident,
  same,
  staging,
  type Told,
} from "./support.ts";

const loadingMeta = { sizeBytes: 5, crc32: 9, version: 3, createdMs: 4, expiresMs: 0, contentType: "", sha256: "" };
const bytes = (text: string) => new TextEncoder().encode(text);
const key = (name: string, tenant = "") => ({ tenant, key: name });
const named = (told: readonly Told[], name: keyof EventMap) => told.filter((event) => event.name === name);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof VitrineError) return error.code;
  }
  return "";
}

test("finishWrite makes an object readable, with its events, when it is admitted", () => {
  const { l1, told, memory } = makeL1();
  const [staged] = l1.reserveWrite([request("a", 5, { key: key("a", "t"), contentType: "text/plain" })], "put");
  fill(staging(staged).extents, bytes("hello"));
  expect(l1.reserveRead([key("a", "t")])).toEqual([undefined]);
  expect(l1.usage()).toMatchObject({ objects: 0, stagingBytes: 64, writeLeases: 1, payloadBytes: 0 });
  expect(l1.finishWrite([commit(staging(staged), 5, { crc32: 0xdeadbeef })], "replace")).toEqual(["admitted"]);
  const [found] = l1.reserveRead([key("a", "t")], 2);
  expect(resident(found).meta).toEqual({
    sizeBytes: 5,
    crc32: 0xdeadbeef,
    version: 1,
    createdMs: 0,
    expiresMs: 0,
    contentType: "text/plain",
    sha256: "",
  });
  expect(bytesOf(resident(found).extents)).toEqual(bytes("hello"));
  expect(l1.usage()).toMatchObject({ objects: 1, usedBytes: 64, stagingBytes: 0, readLeases: 2, writeLeases: 0 });
  expect(l1.finishRead([resident(found).lease])).toEqual([true]);
  expect(l1.finishRead([resident(found).lease])).toEqual([true]);
  expect(l1.finishRead([resident(found).lease])).toEqual([false]);
  expect(told).toEqual([
    { name: "l1.write.reserved", fields: { tenant: "t", keys: 1, bytes: 5 } },
    { name: "l1.write.finished", fields: { tenant: "t", keys: 1, bytes: 5 } },
    { name: "l1.read.reserved", fields: { tenant: "t", keys: 2, bytes: 10 } },
    { name: "l1.read.finished", fields: { tenant: "t", keys: 1, bytes: 5 } },
    { name: "l1.read.finished", fields: { tenant: "t", keys: 1, bytes: 5 } },
  ]);
  audit(memory);
});

test("reserveWrite refuses every key that needs memory when the batch does not fit", () => {
  const { l1, memory, told } = makeL1({ maxObjects: 100 });
  put(l1, "old", "stays");
  staging(l1.reserveWrite([request("busy", 10)], "put")[0]);
  told.length = 0;
  const batch = [
    request("huge", MIB),
    request("busy", 10),
    ...Array.from({ length: 9 }, (_, i) => request(`k${i}`, MIB / 8)),
  ];
  const refusals: WriteRefusal[] = ["too_large", "staging", ...Array<WriteRefusal>(9).fill("no_room")];
  expect(l1.reserveWrite(batch, "put")).toEqual(refusals);
  expect(told).toEqual([]);
  expect(get(l1, "old")).toBe("stays");
  expect(l1.usage()).toMatchObject({ writeLeases: 1, stagingBytes: 64 });
  audit(memory);
});

test("reserveWrite gives a batch back when what is leased leaves no room", () => {
  const { l1, memory } = makeL1();
  for (let i = 0; i < 6; i++) put(l1, `held${i}`, "x".repeat(MIB / 8 - 100));
  const held = l1.reserveRead(Array.from({ length: 6 }, (_, i) => key(`held${i}`)));
  const batch = Array.from({ length: 3 }, (_, i) => request(`k${i}`, MIB / 8 - 100));
  expect(l1.reserveWrite(batch, "put")).toEqual(["no_room", "no_room", "no_room"]);
  expect(l1.usage()).toMatchObject({ objects: 6, writeLeases: 0, stagingBytes: 0 });
  expect(l1.reserveWrite(batch.slice(1), "put").map((each) => typeof each)).toEqual(["object", "object"]);
  expect(l1.finishRead(held.map((each) => resident(each).lease))).toEqual(Array(6).fill(true));
  audit(memory);
});

test("reserveWrite excludes the same tag and stages other tags side by side", () => {
  const { l1, memory } = makeL1();
  const [first] = l1.reserveWrite([request("a", 5)], "one");
  expect(l1.reserveWrite([request("a", 5)], "one")).toEqual(["staging"]);
  const [second] = l1.reserveWrite([request("a", 6)], "two");
  fill(staging(first).extents, bytes("first"));
  fill(staging(second).extents, bytes("second"));
  expect(l1.finishWrite([commit(staging(second), 6)], "replace")).toEqual(["admitted"]);
  expect(get(l1, "a")).toBe("second");
  expect(l1.finishWrite([commit(staging(first), 5)], "replace")).toEqual(["admitted"]);
  expect(get(l1, "a")).toBe("first");
  const twice = l1.reserveWrite([request("b", 1), request("b", 1)], "one");
  expect(twice.map((each) => typeof each)).toEqual(["object", "string"]);
  audit(memory);
});

test("a write whose lease runs out is never readable and is reclaimed by the loop", () => {
  const { l1, clock, told, memory } = makeL1();
  const [staged] = l1.reserveWrite([request("a", 5)], "put");
  clock.now += 1999;
  expect(l1.renew(staging(staged).lease)).toBe(true);
  clock.now += 2000;
  expect(l1.renew(staging(staged).lease)).toBe(false);
  expect(l1.extend(staging(staged).lease, 10)).toBe("stale");
  expect(l1.finishWrite([commit(staging(staged), 5)], "replace")).toEqual(["stale"]);
  l1.abort([staging(staged).lease]);
  expect(l1.usage().writeLeases).toBe(1);
  l1.tick();
  expect(l1.usage()).toMatchObject({ writeLeases: 0, usedBytes: 0, stagingBytes: 0 });
  expect(named(told, "l1.lease.expired")).toEqual([{ name: "l1.lease.expired", fields: { kind: "write", keys: 1 } }]);
  expect(named(told, "l1.write.aborted")).toEqual([]);
  audit(memory);
});

test("reserveWrite takes over from the same tag when its lease has run out, and says so", () => {
  const { l1, clock, told, memory } = makeL1();
  const [old] = l1.reserveWrite([request("a", 5)], "put");
  clock.now += 2000;
  const [fresh] = l1.reserveWrite([request("a", 5)], "put");
  expect(named(told, "l1.lease.expired")).toEqual([{ name: "l1.lease.expired", fields: { kind: "write", keys: 1 } }]);
  expect(l1.finishWrite([commit(staging(old), 5)], "replace")).toEqual(["stale"]);
  expect(l1.finishWrite([commit(staging(fresh), 5)], "replace")).toEqual(["admitted"]);
  audit(memory);
});

test("finishWrite replaces or keeps the resident as it is told", () => {
  const { l1, told, memory } = makeL1();
  put(l1, "a", "old");
  const [load] = l1.reserveWrite([request("a", 5, { loading: loadingMeta })], "load");
  fill(staging(load).extents, bytes("drops"));
  told.length = 0;
  expect(l1.finishWrite([commit(staging(load), 5)], "keep")).toEqual(["duplicate"]);
  expect(get(l1, "a")).toBe("old");
  put(l1, "a", "new!");
  expect(get(l1, "a")).toBe("new!");
  expect(named(told, "l1.write.aborted")).toEqual([
    { name: "l1.write.aborted", fields: { tenant: "", keys: 1, bytes: 5 } },
  ]);
  expect(named(told, "l1.removed")).toEqual([
    { name: "l1.removed", fields: { tenant: "", reason: "replaced", keys: 1, bytes: 3 } },
  ]);
  audit(memory);
});

test("a load is superseded when its key is deleted, replaced or cleared, and its followers get the right bytes", () => {
  for (const meanwhile of ["delete", "replace", "clear"]) {
    const { l1, memory } = makeL1();
    const [load] = l1.reserveWrite([request("a", 5, { loading: loadingMeta })], "load");
    const follower = l1.follow(key("a"), "load");
    if (follower === undefined) throw new Error("nothing to follow");
    fill(staging(load).extents, bytes("loads"));
    l1.filled(staging(load).lease, 3);
    expect([follower.state(), follower.filledBytes(), follower.meta]).toEqual(["loading", 3, loadingMeta]);
    if (meanwhile === "delete") expect(l1.delete([key("a")])).toEqual([false]);
    if (meanwhile === "replace") put(l1, "a", "newer");
    if (meanwhile === "clear") expect(clear(l1)).toBe(0);
    expect(l1.follow(key("a"), "load")).toBe(undefined);
    expect([follower.state(), follower.filledBytes()]).toEqual(["loading", 3]);
    expect(l1.finishWrite([commit(staging(load), 5)], "keep")).toEqual(["superseded"]);
    expect([follower.state(), follower.filledBytes()]).toEqual(["done", 5]);
    expect(l1.isCurrent(follower.lease)).toBe(false);
    expect(bytesOf(follower.extents)).toEqual(bytes("loads"));
    expect(l1.finishRead([follower.lease])).toEqual([true]);
    expect([follower.state(), follower.filledBytes()]).toEqual(["failed", 0]);
    expect(get(l1, "a")).toBe(meanwhile === "replace" ? "newer" : undefined);
    audit(memory);
  }
});

test("a follower sees failed when its load is aborted, and its token never reads another object's progress", () => {
  const { l1, memory } = makeL1();
  const [load] = l1.reserveWrite([request("a", 5, { loading: loadingMeta })], "load");
  const follower = l1.follow(key("a"), "load");
  if (follower === undefined) throw new Error("nothing to follow");
  l1.filled(staging(load).lease, 2);
  l1.abort([staging(load).lease]);
  expect([follower.state(), follower.filledBytes()]).toEqual(["failed", 2]);
  l1.finishRead([follower.lease]);
  const [other] = l1.reserveWrite([request("b", 5, { loading: loadingMeta })], "load");
  l1.filled(staging(other).lease, 4);
  expect([follower.state(), follower.filledBytes()]).toEqual(["failed", 0]);
  audit(memory);
});

test("follow finds loads of its tag only, and none whose writer's lease has run out", () => {
  const { l1, clock } = makeL1();
  l1.reserveWrite([request("put", 5)], "put");
  l1.reserveWrite([request("a", 5, { loading: loadingMeta })], "load");
  expect(l1.follow(key("put"), "put")).toBe(undefined);
  expect(l1.follow(key("a"), "other")).toBe(undefined);
  clock.now += 2000;
  expect(l1.follow(key("a"), "load")).toBe(undefined);
});

test("a removed object stays readable until finishRead", () => {
  const { l1, memory } = makeL1();
  put(l1, "a", "pinned");
  const [found] = l1.reserveRead([key("a")]);
  expect(l1.delete([key("a")])).toEqual([true]);
  expect(l1.delete([key("a")])).toEqual([false]);
  for (let i = 0; i < 40; i++) put(l1, `fill${i}`, "z".repeat(60_000));
  expect(bytesOf(resident(found).extents)).toEqual(bytes("pinned"));
  expect(l1.isCurrent(resident(found).lease)).toBe(false);
  audit(memory);
  expect(l1.finishRead([resident(found).lease])).toEqual([true]);
  clear(l1);
  expect(l1.usage().usedBytes).toBe(0);
  audit(memory);
});

test("a temporary object is freed after its last read", () => {
  const { l1, told, memory } = makeL1();
  const [staged] = l1.reserveWrite([request("a", 3, { temporary: true })], "put");
  const [held] = l1.finishWriteAndReserveRead([commit(staging(staged), 3)], "keep", 2);
  expect(named(told, "l1.write_finished_and_read_reserved").length).toBe(1);
  expect(named(told, "l1.read.reserved")).toEqual([
    { name: "l1.read.reserved", fields: { tenant: "", keys: 1, bytes: 3 } },
  ]);
  expect(l1.finishRead([resident(held).lease], 1)).toEqual([true]);
  expect(l1.peek(key("a"))?.sizeBytes).toBe(3);
  expect(l1.finishRead([resident(held).lease], 5)).toEqual([true]);
  expect(l1.peek(key("a"))).toBe(undefined);
  expect(told.slice(-2)).toEqual([
    { name: "l1.read.finished", fields: { tenant: "", keys: 1, bytes: 3 } },
    { name: "l1.removed", fields: { tenant: "", reason: "temporary", keys: 1, bytes: 3 } },
  ]);
  expect(l1.usage()).toMatchObject({ objects: 0, usedBytes: 0, readLeases: 0 });
  audit(memory);
});

test("finishWriteAndReserveRead leases the resident copy when the staged one is dropped, and nothing when none is left", () => {
  const { l1, memory } = makeL1();
  put(l1, "a", "old");
  const [load] = l1.reserveWrite([request("a", 3)], "load");
  const [held] = l1.finishWriteAndReserveRead([commit(staging(load), 3)], "keep");
  expect(bytesOf(resident(held).extents)).toEqual(bytes("old"));
  expect(l1.finishWriteAndReserveRead([commit(staging(load), 3)], "keep")).toEqual([undefined]);
  const [gone] = l1.reserveWrite([request("b", 5, { loading: loadingMeta })], "load");
  l1.delete([key("b")]);
  expect(l1.finishWriteAndReserveRead([commit(staging(gone), 5)], "keep")).toEqual([undefined]);
  audit(memory);
});

test("an object of no bytes is admitted, read and listed", () => {
  const { l1, memory } = makeL1();
  put(l1, "empty", "");
  const [found] = l1.reserveRead([key("empty")]);
  expect([resident(found).extents, resident(found).meta.sizeBytes]).toEqual([[], 0]);
  expect(keysOf(l1)).toEqual(["empty"]);
  expect(l1.usage()).toMatchObject({ objects: 1, usedBytes: 64, payloadBytes: 0 });
  audit(memory);
});

test("the admission limit admits its own size and refuses one byte more", () => {
  const { l1 } = makeL1();
  const limit = l1.admissionLimitBytes;
  expect(limit).toBe(MIB / 8);
  const [fits, above] = l1.reserveWrite([request("a", limit), request("b", limit + 1)], "put");
  expect([typeof fits, above]).toEqual(["object", "too_large"]);
  expect(typeof l1.extend(staging(fits).lease, limit)).toBe("object");
  expect(l1.extend(staging(fits).lease, limit + 1)).toBe("too_large");
});

test("extend leaves earlier views as they are, and finishWrite gives the surplus back", () => {
  const { l1, memory } = makeL1();
  const [staged] = l1.reserveWrite([request("a", 10)], "put");
  const before = staging(staged).extents;
  put(l1, "between", "x");
  const after = l1.extend(staging(staged).lease, 5000);
  if (typeof after === "string") throw new Error(after);
  expect(after.slice(0, before.length).map((view) => [view.byteOffset, view.length])).toEqual(
    before.map((view) => [view.byteOffset, view.length]),
  );
  const content = Uint8Array.from({ length: 3000 }, (_, i) => i);
  fill(after, content);
  expect(l1.finishWrite([commit(staging(staged), 3000)], "replace")).toEqual(["admitted"]);
  const [found] = l1.reserveRead([key("a")]);
  expect(bytesOf(resident(found).extents)).toEqual(content);
  expect(l1.usage().usedBytes).toBe(64 + 47 * 64);
  audit(memory);
});

test("finishWrite throws length_mismatch, and changes nothing, when an object is larger than its memory", () => {
  const { l1, memory } = makeL1();
  const staged = l1.reserveWrite([request("a", 10), request("b", 10)], "put").map(staging);
  const commits = staged.map((each, i) => commit(each, i === 0 ? 64 : 10));
  expect(codeOf(() => l1.finishWrite(commits, "replace"))).toBe("length_mismatch");
  expect(l1.usage()).toMatchObject({ objects: 0, writeLeases: 2 });
  expect(l1.finishWrite(staged.map((each) => commit(each, 10)), "replace")).toEqual(["admitted", "admitted"]);
  audit(memory);
});

test("reserveWrite throws on what would not fit into the head of an object, before anything is reserved", () => {
  const { l1 } = makeL1();
  const bad = [
    request("a".repeat(1025), 1),
    request("é".repeat(513), 1),
    request("", 1),
    request("a", 1, { key: key("a", "t".repeat(129)) }),
  ];
  for (const each of bad) expect(codeOf(() => l1.reserveWrite([request("ok", 1), each], "put"))).toBe("bad_key");
  const wrong = [
    request("a", 1, { contentType: "x".repeat(256) }),
    request("a", 1, { headers: "x".repeat(MAX_KEPT_HEADER_BYTES + 1) }),
    request("a", 1, { sha256: "abc" }),
    request("a", 1, { loading: loadingMeta }),
  ];
  for (const each of wrong) expect(codeOf(() => l1.reserveWrite([request("ok", 1), each], "put"))).toBe("bad_request");
  expect(codeOf(() => l1.reserveWrite([request("ok", 1)], "t".repeat(256)))).toBe("bad_request");
  expect(codeOf(() => l1.reserveRead([key("ok"), key("")]))).toBe("bad_key");
  expect(l1.usage()).toMatchObject({ usedBytes: 0, writeLeases: 0 });
});

test("the limit on objects evicts and never fails", () => {
  for (const policy of ["s3-fifo", "lru"] as const) {
    const { l1, told, memory } = makeL1({ maxObjects: 8 }, { policy });
    for (let i = 0; i < 20; i++) put(l1, `k${i}`, "v");
    expect(l1.usage()).toMatchObject({ objects: 8, maxObjects: 8 });
    expect(named(told, "l1.removed")).toEqual(
      Array.from({ length: 12 }, () => ({
        name: "l1.removed",
        fields: { tenant: "", reason: "pressure", keys: 1, bytes: 1 },
      })),
    );
    expect([get(l1, "k11"), get(l1, "k12")]).toEqual([undefined, "v"]);
    audit(memory, policy);
  }
});

test("tick evicts from the high to the low watermark by bytes, and tells how much", () => {
  const { l1, told, memory } = makeL1({ sizeBytes: 64 * 1000 });
  for (let i = 0; i < 79; i++) put(l1, `k${i}`, "x".repeat(630));
  told.length = 0;
  l1.tick();
  expect(told).toEqual([{ name: "l1.eviction.tick", fields: { triggered: "false", keys: 0, bytes: 0 } }]);
  put(l1, "k79", "x".repeat(630));
  expect(l1.usage().usedBytes).toBe(64 * 800);
  told.length = 0;
  l1.tick();
  expect(told).toEqual([
    { name: "l1.removed", fields: { tenant: "", reason: "watermark", keys: 20, bytes: 12_600 } },
    { name: "l1.eviction.tick", fields: { triggered: "true", keys: 20, bytes: 12_600 } },
  ]);
  expect(l1.usage()).toMatchObject({ usedBytes: 64 * 600, objects: 60 });
  audit(memory);
});

test("tick leaves what is leased when it evicts, and ends", () => {
  const { l1, told, memory } = makeL1({ sizeBytes: 64 * 100 });
  for (let i = 0; i < 90; i++) put(l1, `k${i}`, "x");
  const held = l1.reserveRead(Array.from({ length: 80 }, (_, i) => key(`k${i}`)));
  told.length = 0;
  l1.tick();
  expect(told.at(-1)).toEqual({ name: "l1.eviction.tick", fields: { triggered: "true", keys: 10, bytes: 10 } });
  l1.finishRead(held.map((each) => resident(each).lease));
  audit(memory);
});

test("the tail of a batch is evicted before its head", () => {
  for (const policy of ["s3-fifo", "lru"] as const) {
    const { l1 } = makeL1({ maxObjects: 6 }, { policy });
    const names = ["h0", "h1", "h2", "h3", "h4", "h5"];
    const staged = l1.reserveWrite(names.map((name) => request(name, 1)), "put").map(staging);
    l1.finishWrite(staged.map((each) => commit(each, 1)), "replace");
    for (const left of [5, 4, 3, 2]) {
      put(l1, `new${left}`, "v");
      const still = names.filter((name) => l1.peek(key(name)) !== undefined);
      expect(still).toEqual(names.slice(0, left));
    }
  }
});

test("metadata and keys come back as they were, to the last byte", () => {
  const { l1 } = makeL1();
  const tenant = "é".repeat(64);
  const sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  const keys = ["k".repeat(1024), "\u{1f600}".repeat(256), "\ufeffbom", "a/b%2F..\n\u0000@", "日本語"];
  const contentType = `text/plain; x="${"é".repeat(119)}"`;
  expect(bytes(contentType).length).toBe(254);
  const types = ["x".repeat(255), contentType, "Ã©", "é", "\ufeff"];
  const headers = [
    `x:${"\u00ff".repeat(MAX_KEPT_HEADER_BYTES - 3)}\n`,
    undefined,
    "a:\nb:\u00e9\n",
    undefined,
    "a:b\n",
  ];
  keys.forEach((each, i) => {
    const more = { key: { tenant, key: each }, contentType: types[i] ?? "", sha256, headers: headers[i] };
    const time = { crc32: 2 ** 32 - 1 - i, version: 2 ** 53 - 1 - i, createdMs: 1.5 + i, expiresMs: 2 ** 41 };
    put(l1, each, `value ${i}`, { ...more, ...time });
  });
  expect(new Set(keysOf(l1, { tenant }))).toEqual(new Set(keys));
  keys.forEach((each, i) => {
    expect(l1.peek({ tenant, key: each })).toEqual({
      sizeBytes: 7,
      crc32: 2 ** 32 - 1 - i,
      version: 2 ** 53 - 1 - i,
      createdMs: 1.5 + i,
      expiresMs: 2 ** 41,
      contentType: types[i] ?? "",
      sha256,
      ...(headers[i] === undefined ? {} : { headers: headers[i] }),
    });
    expect(get(l1, each, tenant)).toBe(`value ${i}`);
    expect(get(l1, each)).toBe(undefined);
  });
});

test("every object has its own Content-Type when there are more of them than are remembered", () => {
  const { l1 } = makeL1({ maxObjects: 4000 });
  for (let i = 0; i < 3000; i++) put(l1, `${i}`, "", { contentType: `x/${i}` });
  for (let i = 0; i < 6000; i++) same(l1.peek(key(`${i % 3000}`))?.contentType, `x/${i % 3000}`);
});

test("tenant and key stay apart when their bytes together are the same", () => {
  const { l1 } = makeL1();
  put(l1, "", "one", { key: key("bc", "a") });
  put(l1, "", "two", { key: key("c", "ab") });
  expect([get(l1, "bc", "a"), get(l1, "c", "ab"), get(l1, "abc")]).toEqual(["one", "two", undefined]);
});

test("keys gives one tenant's keys by prefix, after and through in the order of their UTF-8 bytes", () => {
  const { l1 } = makeL1();
  const names = ["a", "a/1", "a/\u{1f600}", "a/\uffee", "a/é", "b", "ab"];
  for (const name of names) put(l1, name, "v");
  put(l1, "", "v", { key: key("a/other", "t") });
  expect(keysOf(l1)).toEqual(["a", "a/1", "a/é", "a/\uffee", "a/\u{1f600}", "ab", "b"]);
  expect(keysOf(l1, { prefix: "a/" })).toEqual(["a/1", "a/é", "a/\uffee", "a/\u{1f600}"]);
  expect(keysOf(l1, { prefix: "a/", after: "a/é", through: "a/\uffee" })).toEqual(["a/\uffee"]);
  expect(keysOf(l1, { after: "a/\u{1f600}" })).toEqual(["ab", "b"]);
  expect(keysOf(l1, { tenant: "t" })).toEqual(["a/other"]);
});

test("recentKeys gives what was admitted since, and nothing when that is too much or the order was repaired", async () => {
  const { l1, memory } = makeL1();
  put(l1, "old", "v");
  const all = { tenant: "", prefix: "", after: "" };
  const { admissions } = l1;
  expect(l1.recentKeys(all, admissions, 9)).toEqual({ keys: [], admissions });
  for (const name of ["b", "a", "gone", "old"]) put(l1, name, "v");
  l1.delete([key("gone")]);
  expect(l1.recentKeys(all, admissions, 4)?.keys.toSorted()).toEqual(["a", "b", "old"]);
  expect(l1.recentKeys({ ...all, through: "a" }, admissions, 4)?.keys).toEqual(["a"]);
  expect(l1.recentKeys(all, admissions, 3)).toBe(undefined);
  Atomics.store(new Int32Array(memory.control), planArena(memory.options).at.lock, 2);
  await l1.takeOver(2);
  expect(l1.recentKeys(all, admissions, 1000)).toBe(undefined);
  expect(l1.recentKeys(all, admissions, Infinity)?.keys.toSorted()).toEqual(["a", "b", "old"]);
  audit(memory);
});

test("room for a large object is made by some evictions in each locked section", () => {
  const { l1, told, memory } = makeL1({ maxObjects: 4096 }, { admissionLimitBytes: MIB / 2 });
  for (let i = 0; i < 2400; i++) put(l1, String(i), "z".repeat(400));
  told.length = 0;
  expect(typeof l1.reserveWrite([request("large", MIB / 2)], "put")[0]).toBe("object");
  const removed = told.flatMap(({ name, fields }) => name === "l1.removed" && "keys" in fields ? [fields.keys] : []);
  expect(removed.length > 8 && removed.every((keys) => keys <= 128)).toBe(true);
  audit(memory);
});

test("the loop evicts down to the low watermark in several turns when many objects must leave", () => {
  const { l1, memory } = makeL1({ sizeBytes: 8000 * 64, maxObjects: 8000 }, { lowWatermark: 0.1 });
  for (let i = 0; i < 7000; i++) put(l1, String(i), "v");
  for (const left of [7000 - 4096, 800, 800]) {
    l1.tick();
    expect(l1.usage().objects).toBe(left);
  }
  audit(memory);
});

test("an eviction spares no more objects than it may look at when all have been read", () => {
  const { l1, memory } = makeL1({ maxObjects: 5000 });
  const keys = Array.from({ length: 5000 }, (_, i) => key(String(i)));
  for (const each of keys) put(l1, each.key, "v");
  for (let reads = 0; reads < 3; reads++) l1.touch(keys);
  // No row is left: one object must leave.
  put(l1, "new", "v");
  expect(keys.filter((each) => l1.peek(each) === undefined)).toEqual([key("4096")]);
  audit(memory);
});

test("spare bytes are given where they are free below the high watermark, and push nobody out", () => {
  const { l1 } = makeL1();
  const [first] = l1.reserveWrite([request("a", 1000, { spareBytes: 50_000 })], "put");
  expect(bytesOf(staging(first).extents).length >= 51_000).toBe(true);
  for (let i = 0; i < 14; i++) put(l1, String(i), "z".repeat(60_000));
  const { objects } = l1.usage();
  const [second] = l1.reserveWrite([request("b", 1000, { spareBytes: 50_000 })], "put");
  expect(bytesOf(staging(second).extents).length < 1100).toBe(true);
  expect(typeof l1.extend(staging(second).lease, 2000, 50_000)).toBe("object");
  expect(l1.usage().objects).toBe(objects);
});

test("clear removes one tenant's objects, or all", () => {
  const { l1, told, memory } = makeL1();
  for (let i = 0; i < 5; i++) put(l1, "", "vv", { key: key(`k${i}`, i < 2 ? "a" : "b") });
  told.length = 0;
  expect(clear(l1, "a")).toBe(2);
  expect(clear(l1)).toBe(3);
  expect(told).toEqual([
    { name: "l1.removed", fields: { tenant: "a", reason: "cleared", keys: 2, bytes: 4 } },
    { name: "l1.removed", fields: { tenant: "b", reason: "cleared", keys: 3, bytes: 6 } },
  ]);
  expect(l1.usage()).toMatchObject({ objects: 0, usedBytes: 0, payloadBytes: 0 });
  audit(memory);
});

test("an object is a miss from the millisecond on at which it expires, and the loop removes it", () => {
  const { l1, clock, told, memory } = makeL1();
  put(l1, "a", "v", { expiresMs: clock.now + 10 });
  put(l1, "b", "v", { expiresMs: clock.now + 10 });
  clock.now += 9;
  const [held] = l1.reserveRead([key("a")]);
  expect(l1.isCurrent(resident(held).lease)).toBe(true);
  clock.now += 1;
  expect(l1.isCurrent(resident(held).lease)).toBe(false);
  expect(l1.reserveRead([key("a")])).toEqual([undefined]);
  expect(l1.usage().objects).toBe(1);
  l1.tick();
  expect(l1.usage().objects).toBe(0);
  const removal: Told = { name: "l1.removed", fields: { tenant: "", reason: "expired", keys: 1, bytes: 1 } };
  expect(named(told, "l1.removed")).toEqual([removal, removal]);
  expect(bytesOf(resident(held).extents)).toEqual(bytes("v"));
  expect(l1.finishRead([resident(held).lease])).toEqual([true]);
  audit(memory);
});

test("a read lease that ran out is told once per lease, and its token is stale", () => {
  const { l1, clock, told, memory } = makeL1();
  put(l1, "a", "v");
  const [held] = l1.reserveRead([key("a")], 3);
  const lease = resident(held).lease;
  clock.now += 999;
  expect(l1.renew(lease)).toBe(true);
  clock.now += 1000;
  l1.tick();
  expect(named(told, "l1.lease.expired")).toEqual([{ name: "l1.lease.expired", fields: { kind: "read", keys: 3 } }]);
  put(l1, "b", "w");
  const [reused] = l1.reserveRead([key("b")]);
  expect(resident(reused).lease.slot).toBe(lease.slot);
  expect([l1.finishRead([lease]), l1.renew(lease), l1.isCurrent(lease)]).toEqual([[false], false, false]);
  expect(l1.usage().readLeases).toBe(1);
  audit(memory);
});

test("finishRead succeeds past the deadline as long as nobody has ended the lease", () => {
  const { l1, clock, memory } = makeL1();
  put(l1, "a", "v");
  const [held] = l1.reserveRead([key("a")]);
  clock.now += 5000;
  expect(l1.renew(resident(held).lease)).toBe(false);
  expect(l1.finishRead([resident(held).lease])).toEqual([true]);
  audit(memory);
});

test("when all leases are taken reads throw and writes are refused, and nothing is half taken", () => {
  const { l1, told, memory } = makeL1({ maxLeases: 4 });
  for (const name of ["a", "b", "c"]) put(l1, name, "v", { temporary: name === "c" });
  const held = l1.reserveRead([key("a"), key("b")]);
  told.length = 0;
  expect(codeOf(() => l1.reserveRead([key("c"), key("a"), key("b")]))).toBe("no_room");
  expect(l1.usage().readLeases).toBe(2);
  const [one, ...rest] = l1.reserveWrite([request("x", 1), request("y", 1)], "put");
  expect([typeof one, ...rest.map((each) => typeof each)]).toEqual(["object", "object"]);
  told.length = 0;
  expect(l1.reserveWrite([request("z", 1)], "put")).toEqual(["no_room"]);
  expect(codeOf(() => l1.reserveRead([key("c")]))).toBe("no_room");
  expect(told).toEqual([]);
  const [read] = l1.finishWriteAndReserveRead([commit(staging(one), 1)], "replace");
  expect(l1.finishRead([...held.map((each) => resident(each).lease), resident(read).lease])).toEqual([
    true,
    true,
    true,
  ]);
  expect(get(l1, "c")).toBe("v");
  audit(memory);
});

test("reserveRead and finishRead refuse to count less than one lease", () => {
  const { l1 } = makeL1();
  put(l1, "a", "v");
  expect(() => l1.reserveRead([key("a")], 0)).toThrow(RangeError);
  expect(() => l1.finishRead([], Number.NaN)).toThrow(RangeError);
});

test("a publish that throws loses neither the lock nor the result", () => {
  let calls = 0;
  const { l1, memory } = makeL1({}, {
    publish: () => {
      calls++;
      throw new Error("subscriber broke its promise");
    },
  });
  put(l1, "a", "one");
  put(l1, "a", "two");
  expect(get(l1, "a")).toBe("two");
  expect(calls).toBe(7);
  l1.tick();
  expect(calls).toBe(8);
  audit(memory);
});

test("events are published without the lock, each once, when a subscriber calls L1 again", () => {
  const names: string[] = [];
  const { l1 } = makeL1({}, {
    publish: (name) => {
      names.push(name);
      if (name === "l1.removed") l1.reserveRead([key("a")]);
    },
  });
  put(l1, "a", "one");
  put(l1, "a", "two");
  expect(names).toEqual([
    "l1.write.reserved",
    "l1.write.finished",
    "l1.write.reserved",
    "l1.removed",
    "l1.read.reserved",
    "l1.write.finished",
  ]);
});

test("what can never fit does not empty the cache", () => {
  const { l1, memory } = makeL1({}, { admissionLimitBytes: 2 * MIB });
  put(l1, "a", "stays");
  expect(l1.reserveWrite([request("b", MIB)], "put")).toEqual(["no_room"]);
  const [staged] = l1.reserveWrite([request("c", MIB / 2)], "put");
  expect(l1.extend(staging(staged).lease, MIB)).toBe("no_room");
  expect(l1.reserveWrite([request("d", MIB / 2)], "put")).toEqual(["no_room"]);
  expect(get(l1, "a")).toBe("stays");
  audit(memory);
});

test("a load finished as a replacement stays findable", () => {
  const { l1, memory } = makeL1();
  const [load] = l1.reserveWrite([request("a", 5, { loading: loadingMeta })], "load");
  fill(staging(load).extents, bytes("loads"));
  expect(l1.finishWrite([commit(staging(load), 5)], "replace")).toEqual(["admitted"]);
  expect(get(l1, "a")).toBe("loads");
  audit(memory);
});

test("a follower keeps its bytes when the load ends shorter than was said", () => {
  const { l1, memory } = makeL1();
  const meta = { ...loadingMeta, sizeBytes: 2000 };
  const [load] = l1.reserveWrite([request("a", 2000, { loading: meta })], "load");
  fill(staging(load).extents.slice(0, 1), new Uint8Array(staging(load).extents[0]?.length ?? 0).fill(7));
  const follower = l1.follow(key("a"), "load");
  l1.finishWrite([commit(staging(load), 10)], "keep");
  for (let i = 0; i < 20; i++) put(l1, `b${i}`, "y".repeat(1000));
  expect(bytesOf(follower?.extents ?? [])).toEqual(new Uint8Array(2000).fill(7));
  audit(memory);
});

test("one in 128 objects is told of one by one when it is written, read, replaced, loaded and removed", () => {
  const { l1, told } = makeL1({ sizeBytes: 4 * MIB, maxObjects: 4096 });
  const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
  for (const each of keys) put(l1, each, "1");
  for (const each of keys) get(l1, each);
  for (const each of keys) put(l1, each, "2");
  l1.delete(keys.map((each) => key(each)));
  for (const each of keys) {
    const [load] = l1.reserveWrite([request(each, 5, { loading: loadingMeta })], "load");
    l1.finishWrite([commit(staging(load), 5)], "keep");
  }
  const lives = new Map<string, string[]>();
  for (const { name, fields } of told) {
    if (name !== "l1.key.sampled" || !("keyHash" in fields) || !("action" in fields)) continue;
    const hash = String(fields.keyHash);
    lives.set(hash, [...lives.get(hash) ?? [], `${fields.action}${"reason" in fields ? fields.reason : ""}`]);
  }
  expect(lives.size).toBeGreaterThan(0);
  expect(lives.size).toBeLessThan(40);
  for (const [hash, life] of lives) {
    expect(Number(hash) % 128).toBe(0);
    expect(life).toEqual(["written", "read", "removedreplaced", "written", "removeddeleted", "loaded"]);
  }
});

for (const policy of ["s3-fifo", "lru"] as const) {
  test(`usage tells how long ago the oldest resident was admitted when the policy is ${policy}`, () => {
    const { l1, clock, memory } = makeL1({}, { policy });
    expect(l1.usage().oldestAgeSeconds).toBe(0);
    for (const name of ["a", "b", "c", "d"]) {
      put(l1, name, "x");
      clock.now += 1000;
    }
    expect(l1.usage().oldestAgeSeconds).toBe(4);
    get(l1, "a");
    l1.touch([key("a")]);
    expect(l1.usage().oldestAgeSeconds).toBe(4);
    put(l1, "a", "y");
    expect(l1.usage().oldestAgeSeconds).toBe(3);
    const [held] = l1.reserveRead([key("b")]);
    l1.delete([key("b")]);
    expect(l1.usage().oldestAgeSeconds).toBe(2);
    l1.finishRead([resident(held).lease]);
    audit(memory, policy);
    clear(l1);
    expect(l1.usage().oldestAgeSeconds).toBe(0);
  });
}
