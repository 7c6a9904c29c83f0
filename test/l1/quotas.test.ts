import { expect, test } from "bun:test";
import { Arena } from "../../src/l1/arena/arena.ts";
import type { L1, Quota } from "../../src/l1/l1.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import { audit, commit, FakeClock, get, keysOf, makeL1, request, resident, staging } from "./support.ts";

const KIB = 1024;
const LIMITS = { maxEntries: 100, maxBytes: 1024 * KIB };

function setQuota(l1: L1, tenant: string, limitBytes: number, isStrict = false): boolean {
  const isSet = l1.setQuota(tenant, { limitBytes, isStrict });
  for (const _ of l1.settleQuotas());
  return isSet;
}

function write(
  l1: L1,
  tenant: string,
  key: string,
  { sizeBytes = 10_000, isDirty = false }: { readonly sizeBytes?: number; readonly isDirty?: boolean } = {},
): ReturnType<L1["write"]> {
  const meta = { sizeBytes, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
  const dirty = isDirty ? { dirty: LIMITS } : {};
  return l1.write({ key: { tenant, key }, meta, bytes: new Uint8Array(sizeBytes) }, dirty);
}

/** Writes as many objects as would fill L1 several times; how many were refused. */
function flood(l1: L1, tenant: string, options: { readonly isDirty?: boolean; readonly count?: number } = {}): number {
  let refused = 0;
  for (let i = 0; i < (options.count ?? 500); i++) {
    if (write(l1, tenant, `flood-${i}`, options) !== "admitted") refused++;
  }
  return refused;
}

function usedBy(l1: L1, tenant: string): number | undefined {
  return l1.quotas().find((each) => each.tenant === tenant)?.usedBytes;
}

function keysOfTenant(l1: L1Manager, tenant: string): number {
  return keysOf(l1, { tenant }).length;
}

test("a quota counts what its tenant holds, from the staging to the last reader, and nobody else's", () => {
  const { l1, memory } = makeL1();
  setQuota(l1, "a", 100_000);
  const [staged] = l1.reserveWrite([request("x", 1000, { key: { tenant: "a", key: "x" } })], "put");
  // "a", "x" and "put" are in front of the bytes.
  expect(usedBy(l1, "a")).toBe(1024);
  expect(l1.extend(staging(staged).lease, 5000)).toBeInstanceOf(Array);
  expect(usedBy(l1, "a")).toBe(5056);
  l1.finishWrite([commit(staging(staged), 100)], "replace");
  expect(usedBy(l1, "a")).toBe(128);
  write(l1, "b", "x");
  const [read] = l1.reserveRead([{ tenant: "a", key: "x" }]);
  l1.delete([{ tenant: "a", key: "x" }]);
  expect(usedBy(l1, "a")).toBe(128);
  l1.finishRead([resident(read).lease]);
  expect(usedBy(l1, "a")).toBe(0);
  audit(memory);
});

test("a quota counts what was there before it, in steps or by ticks, and lets it go when it ends", () => {
  const { l1, memory } = makeL1({ sizeBytes: 4096 * KIB, maxObjects: 2000 });
  for (let i = 0; i < 1200; i++) write(l1, i % 2 === 0 ? "a" : "b", `k${i}`, { sizeBytes: 100 });
  expect(l1.setQuota("a", { limitBytes: 1000, isStrict: false })).toBe(true);
  expect(usedBy(l1, "a")).toBeUndefined();
  write(l1, "a", "during", { sizeBytes: 100 });
  audit(memory);
  l1.tick();
  expect(usedBy(l1, "a")).toBe(601 * 128);
  expect(l1.usedBy("b").reduce((sum, bytes) => sum + bytes, 0)).toBe(600 * 128);
  audit(memory);
  expect(l1.setQuota("a", undefined)).toBe(true);
  expect(l1.quotas()).toEqual([]);
  const steps = l1.settleQuotas();
  steps.next();
  audit(memory);
  // Set again while its objects are being let go of.
  expect(setQuota(l1, "a", 2000)).toBe(true);
  expect(usedBy(l1, "a")).toBe(601 * 128);
  audit(memory);
});

test("setQuota refuses one tenant more than may have a quota, and takes it once another has lost its own", () => {
  const { l1, memory } = makeL1({ maxQuotas: 3 });
  write(l1, "t1", "x");
  expect(["t1", "t2", "", "t4"].map((tenant) => setQuota(l1, tenant, 5))).toEqual([true, true, true, false]);
  expect(setQuota(l1, "t1", 6)).toBe(true);
  expect(l1.setQuota("t4", undefined)).toBe(false);
  expect(l1.setQuota("t1", undefined)).toBe(true);
  for (const _ of l1.settleQuotas());
  expect(setQuota(l1, "t4", 7, true)).toBe(true);
  expect(l1.quotas()).toEqual([
    { tenant: "", limitBytes: 5, isStrict: false, usedBytes: 0 },
    { tenant: "t2", limitBytes: 5, isStrict: false, usedBytes: 0 },
    { tenant: "t4", limitBytes: 7, isStrict: true, usedBytes: 0 },
  ]);
  audit(memory);
});

test("MAX_QUOTAS tenants may have a quota, and 128 bytes of name are kept", () => {
  const { l1 } = makeL1();
  const tenants = Array.from({ length: 1024 }, (_, i) => `${i}`.padStart(128, "t"));
  expect(tenants.every((tenant) => l1.setQuota(tenant, { limitBytes: 1, isStrict: false }))).toBe(true);
  expect(l1.setQuota("one more", { limitBytes: 1, isStrict: false })).toBe(false);
  expect(l1.quotas().map(({ tenant }) => tenant)).toEqual(tenants.toSorted());
});

test("a strict quota refuses what exceeds it, evicts nothing for it, and takes it again after a delete", () => {
  const { l1, told, memory } = makeL1();
  setQuota(l1, "a", 40_960, true);
  const outcomes = [1, 2, 3, 4, 5].map((i) => write(l1, "a", `k${i}`));
  expect(outcomes.join(" ")).toBe("admitted admitted admitted admitted over_quota");
  const other = request("x", 10_000, { key: { tenant: "a", key: "x" } });
  expect(l1.reserveWrite([other], "put")).toEqual(["over_quota"]);
  expect(keysOfTenant(l1, "a")).toBe(4);
  expect(told.filter(({ name }) => name === "l1.quota.refused").map(({ fields }) => fields)).toEqual([
    { tenant: "a", keys: 1, bytes: 10_000 },
    { tenant: "a", keys: 1, bytes: 10_000 },
  ]);
  expect(told.some(({ name }) => name === "l1.removed")).toBe(false);
  l1.delete([{ tenant: "a", key: "k1" }]);
  const [staged] = l1.reserveWrite([{ ...other, sizeBytes: 500, spareBytes: 50_000 }], "put");
  expect(l1.extend(staging(staged).lease, 9_000)).toBeInstanceOf(Array);
  expect(l1.extend(staging(staged).lease, 12_000)).toBe("over_quota");
  expect(usedBy(l1, "a")).toBeLessThanOrEqual(40_960);
  expect(write(l1, "b", "k")).toBe("admitted");
  audit(memory);
});

test("a batch above a strict quota keeps what fits, in order", () => {
  const { l1, memory } = makeL1();
  setQuota(l1, "a", 25_000, true);
  const batch = ["x", "y", "z"].map((key) => request(key, 10_000, { key: { tenant: "a", key } }));
  const results = l1.reserveWrite(batch, "put");
  expect(results.map((result) => typeof result === "string" ? result : "staged")).toEqual([
    "staged",
    "staged",
    "over_quota",
  ]);
  audit(memory);
});

test("a load into a strict quota makes room among the tenant's own objects, or goes past L1", () => {
  const { l1, told, memory } = makeL1();
  setQuota(l1, "a", 41_000, true);
  for (let i = 0; i < 4; i++) write(l1, "a", `k${i}`);
  write(l1, "b", "k");
  const loading = { sizeBytes: 15_000, crc32: 0, version: 2, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
  const load = (key: string, sizeBytes = 15_000) =>
    l1.reserveWrite(
      [{ ...request(key, sizeBytes), key: { tenant: "a", key }, loading: { ...loading, sizeBytes } }],
      "load",
    )[0];
  staging(load("x"));
  expect(keysOfTenant(l1, "a")).toBe(2);
  expect(told.filter(({ name }) => name === "l1.removed").map(({ fields }) => fields)).toEqual([
    { tenant: "a", reason: "quota", keys: 2, bytes: 20_000 },
  ]);
  expect(load("y", 60_000)).toBe("no_room");
  expect(keysOfTenant(l1, "b")).toBe(1);
  audit(memory);
});

for (const policy of ["s3-fifo", "lru"] as const) {
  test(`a tenant that floods L1 does not evict one within its quota (${policy})`, () => {
    const { l1, memory, told } = makeL1({}, { policy });
    setQuota(l1, "quiet", 300 * KIB);
    for (let i = 0; i < 20; i++) write(l1, "quiet", `k${i}`);
    for (let round = 0; round < 5; round++) {
      expect(flood(l1, "loud")).toBe(0);
      l1.tick();
    }
    expect(keysOfTenant(l1, "quiet")).toBe(20);
    const evicted = told.flatMap(({ name, fields }) =>
      name === "l1.removed" && "tenant" in fields && "reason" in fields && fields.reason !== "replaced"
        ? [fields.tenant]
        : []
    );
    expect(new Set(evicted)).toEqual(new Set(["loud"]));
    audit(memory, policy);
  });

  test(`a tenant above its quota gives way first, and keeps free memory until then (${policy})`, () => {
    const { l1, memory } = makeL1({}, { policy });
    for (let i = 0; i < 40; i++) write(l1, "none", `k${i}`);
    setQuota(l1, "over", 100 * KIB);
    for (let i = 0; i < 40; i++) write(l1, "over", `k${i}`);
    expect([keysOfTenant(l1, "over"), keysOfTenant(l1, "none")]).toEqual([40, 40]);
    setQuota(l1, "new", 300 * KIB);
    for (let i = 0; i < 40; i++) expect(write(l1, "new", `k${i}`)).toBe("admitted");
    expect([keysOfTenant(l1, "new"), keysOfTenant(l1, "none")]).toEqual([29 + 11, 40]);
    expect(usedBy(l1, "over")).toBeLessThan(260 * KIB);
    audit(memory, policy);
  });
}

test("a tenant at its quota evicts its own objects, not those of tenants without a quota", () => {
  const { l1, told } = makeL1();
  for (let i = 0; i < 50; i++) write(l1, "none", `k${i}`);
  setQuota(l1, "a", 400 * KIB);
  expect(flood(l1, "a")).toBe(0);
  expect(keysOfTenant(l1, "none")).toBe(50);
  const reasons = told.flatMap(({ name, fields }) =>
    name === "l1.removed" && "reason" in fields ? [fields.reason] : []
  );
  expect(new Set(reasons)).toEqual(new Set(["quota"]));
});

test("objects that cannot leave yet cost their own tenant's writes room, not another tenant's objects", () => {
  const { l1, memory } = makeL1();
  setQuota(l1, "quiet", 300 * KIB);
  for (let i = 0; i < 25; i++) write(l1, "quiet", `k${i}`);
  // Nothing of it may be evicted before a tier has it.
  expect(flood(l1, "loud", { isDirty: true })).toBeGreaterThan(400);
  expect(keysOfTenant(l1, "quiet")).toBe(25);
  // Within its quota, the quiet one makes room among its own.
  expect(write(l1, "quiet", "more")).toBe("admitted");
  expect(keysOfTenant(l1, "quiet")).toBe(25);
  // It could have the room of the quiet one only if the quotas themselves filled L1.
  setQuota(l1, "other", 300 * KIB);
  expect([write(l1, "other", "k"), keysOfTenant(l1, "quiet")]).toEqual(["no_room", 25]);
  audit(memory);
});

test("where quotas are larger than L1, the tenant with the largest part of its quota gives way", () => {
  const { l1, memory } = makeL1();
  setQuota(l1, "a", 900 * KIB);
  setQuota(l1, "b", 900 * KIB);
  for (let i = 0; i < 30; i++) write(l1, "b", `k${i}`);
  expect(flood(l1, "a")).toBe(0);
  expect(keysOfTenant(l1, "b")).toBe(30);
  expect(flood(l1, "b")).toBe(0);
  const used = [usedBy(l1, "a") ?? 0, usedBy(l1, "b") ?? 0];
  expect(Math.abs((used[0] ?? 0) - (used[1] ?? 0))).toBeLessThan(30 * KIB);
  audit(memory);
});

test("a tenant above its quota gets no room from tenants within theirs, even if they fill L1", () => {
  const { l1, memory } = makeL1();
  setQuota(l1, "quiet", 2048 * KIB);
  setQuota(l1, "above", 0);
  flood(l1, "quiet", { count: 110 });
  const before = keysOfTenant(l1, "quiet");
  expect([before > 100, write(l1, "above", "k"), write(l1, "none", "k")]).toEqual([true, "no_room", "no_room"]);
  expect(keysOfTenant(l1, "quiet")).toBe(before);
  audit(memory);
});

test("the loop evicts tenants within their quotas only where they fill L1 to the high watermark themselves", () => {
  const { l1, memory } = makeL1();
  setQuota(l1, "a", 1024 * KIB);
  for (let i = 0; i < 70; i++) write(l1, "a", `k${i}`);
  for (let i = 0; i < 20; i++) write(l1, "none", `k${i}`);
  l1.tick();
  expect([keysOfTenant(l1, "a"), keysOfTenant(l1, "none")]).toEqual([70, 0]);
  for (let i = 70; i < 90; i++) write(l1, "a", `k${i}`);
  l1.tick();
  expect(keysOfTenant(l1, "a")).toBe(62);
  audit(memory);
});

test("a flood of small objects takes no rows from a tenant within its quota", () => {
  const { l1, memory } = makeL1({ maxObjects: 100 });
  setQuota(l1, "quiet", 100 * KIB);
  for (let i = 0; i < 90; i++) write(l1, "quiet", `k${i}`, { sizeBytes: 10 });
  for (let i = 0; i < 300; i++) expect(write(l1, "loud", `k${i}`, { sizeBytes: 10 })).toBe("admitted");
  expect([keysOfTenant(l1, "quiet"), keysOfTenant(l1, "loud")]).toEqual([90, 10]);
  for (let i = 90; i < 100; i++) expect(write(l1, "quiet", `k${i}`, { sizeBytes: 10 })).toBe("admitted");
  expect(write(l1, "loud", "x", { sizeBytes: 10 })).toBe("no_room");
  expect(write(l1, "quiet", "x", { sizeBytes: 10 })).toBe("admitted");
  audit(memory);
});

test("a quota that one thread sets is in effect in another at once, and its sum is that of both", () => {
  const { l1, memory } = makeL1();
  const other = new L1Manager(memory, {
    workerId: 2,
    clock: new FakeClock(),
    publish: () => {},
    policy: "s3-fifo",
    admissionLimitBytes: 128 * KIB,
    readLeaseMs: 1000,
    writeLeaseMs: 1000,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: false,
  }, new Arena(memory));
  const strict: Quota = { limitBytes: 20_200, isStrict: true };
  write(other, "a", "k0");
  setQuota(l1, "a", strict.limitBytes, strict.isStrict);
  expect([write(other, "a", "k1"), write(other, "a", "k2"), write(l1, "a", "k3")]).toEqual([
    "admitted",
    "over_quota",
    "over_quota",
  ]);
  expect([usedBy(l1, "a"), usedBy(other, "a")]).toEqual([20_096, 20_096]);
  setQuota(other, "a", 30_500, true);
  expect([write(l1, "a", "k3"), write(other, "a", "k4")]).toEqual(["admitted", "over_quota"]);
  l1.setQuota("a", undefined);
  expect([write(other, "a", "k4"), get(other, "k3", "a")?.length]).toEqual(["admitted", 10_000]);
});
