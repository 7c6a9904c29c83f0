import { expect, test } from "bun:test";
import fc from "fast-check";
import { compareKeys } from "../../../src/core/object.ts";
import { allocateArena } from "../../../src/l1/arena/arena.ts";
import type { L1 } from "../../../src/l1/l1.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { L1Listing } from "../../../src/storage/read/l1_listing.ts";
import { codeOf } from "../../l2/support.ts";

const OBJECTS = 6000;
const all = { tenant: "", prefix: "", limit: 100, after: "" };
const nameOf = (i: number): string => `k${String((i * 7919) % 100_003).padStart(6, "0")}`;

function openL1(): L1Manager {
  return new L1Manager(allocateArena({ sizeBytes: 4 << 20, maxObjects: 20_000, hashSeed: 7 }, "private"), {
    workerId: 1,
    clock: { nowMs: () => 1000, monotonicMs: () => 1000 },
    publish: () => {},
    policy: "lru",
    admissionLimitBytes: 1 << 16,
    readLeaseMs: 1000,
    writeLeaseMs: 1000,
    highWatermark: 0.9,
    lowWatermark: 0.8,
    format: true,
  });
}

function put(l1: L1, key: string, tenant: string = ""): void {
  const [staged] = l1.reserveWrite([{ key: { tenant, key }, sizeBytes: 1, contentType: "", sha256: "" }], "put");
  if (typeof staged !== "object") throw new Error(`put ${key}: ${staged}`);
  const commit = { lease: staged.lease, sizeBytes: 1, crc32: 0, version: 1, createdMs: 0, expiresMs: 0 };
  l1.finishWrite([commit], "replace");
}

/** A listing whose turns run `meanwhile`, and how many looks through L1 there were. */
function openListing(
  l1: L1Manager,
  meanwhile: () => void = () => {},
): { readonly listing: L1Listing; looks: () => number; turns: () => number } {
  let looks = 0;
  let turns = 0;
  const counted: L1 = new Proxy(l1, {
    get(target, name) {
      if (name === "keys") looks += 1;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const turn = (): Promise<void> => {
    turns += 1;
    meanwhile();
    return Promise.resolve();
  };
  const timers = { every: () => () => {}, after: () => Promise.resolve(), turn };
  return { listing: new L1Listing({ l1: counted, timers }), looks: () => looks, turns: () => turns };
}

async function listAll(listing: L1Listing, limit: number, each: () => void = () => {}): Promise<readonly string[]> {
  const listed: string[] = [];
  for (let more = true; more;) {
    const page = await listing.page({ ...all, limit, after: listed.at(-1) ?? "" });
    listed.push(...page.entries.map(({ key }) => key));
    more = page.more;
    each();
  }
  return listed;
}

test("a listing looks through L1 once for many pages, and lets others have their turn", async () => {
  const l1 = openL1();
  for (let i = 0; i < OBJECTS; i += 1) put(l1, nameOf(i));
  const { listing, looks, turns } = openListing(l1);
  expect(await listAll(listing, 10)).toEqual(Array.from({ length: OBJECTS }, (_, i) => nameOf(i)).sort(compareKeys));
  expect(looks()).toBe(3);
  expect(turns() >= 6).toBe(true);
});

test("listings of a tenant without objects look through L1 once until much has been admitted", async () => {
  const l1 = openL1();
  for (let i = 0; i < OBJECTS; i += 1) put(l1, nameOf(i));
  const { listing, looks } = openListing(l1);
  const ofTenant = async () => (await listing.page({ ...all, tenant: "t", limit: 1 })).entries.map(({ key }) => key);
  for (let i = 0; i < 50; i += 1) {
    put(l1, `more${i}`);
    expect(await ofTenant()).toEqual([]);
  }
  put(l1, "first", "t");
  expect(await ofTenant()).toEqual(["first"]);
  expect(looks()).toBe(1);
  for (let i = 0; i < 3000; i += 1) put(l1, nameOf(i));
  expect(await ofTenant()).toEqual(["first"]);
  expect(looks()).toBe(2);
});

test("many listings at once wait for one look through L1, and too many are refused", async () => {
  const l1 = openL1();
  for (let i = 0; i < OBJECTS; i += 1) put(l1, nameOf(i));
  const { listing, looks } = openListing(l1);
  const pages = await Promise.all(Array.from({ length: 32 }, () => listing.page(all)));
  expect(new Set(pages.map(({ entries }) => JSON.stringify(entries))).size).toBe(1);
  expect(looks()).toBe(1);
  const many = Array.from({ length: 65 }, (_, i) => listing.page({ ...all, prefix: `k${i}` }));
  expect(await codeOf(Promise.all(many))).toBe("busy");
  await Promise.allSettled(many);
  expect((await listing.page({ ...all, prefix: "other" })).entries).toEqual([]);
});

test("a listing shows each key once and in order that is there throughout, and none that was gone before, whatever comes and goes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1 }), fc.integer({ min: 100, max: 900 }), async (seed, limit) => {
      const l1 = openL1();
      for (let i = 0; i < OBJECTS; i += 1) put(l1, nameOf(i));
      const gone = new Set<string>();
      let state = seed;
      const random = (below: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % below;
      };
      // Every third key comes and goes, the others are at most written anew, which moves them to other rows.
      const change = (): void => {
        for (let n = 0; n < 40; n += 1) {
          const i = random(OBJECTS);
          if (i % 3 > 0) put(l1, nameOf(i));
          else if (random(2) === 0) put(l1, nameOf(i));
          else l1.delete([{ tenant: "", key: nameOf(i) }]);
          if (i % 3 === 0) gone.add(nameOf(i));
        }
      };
      const { listing } = openListing(l1, change);
      const listed = await listAll(listing, limit, change);
      expect(listed).toEqual([...new Set(listed)].sort(compareKeys));
      const stable = Array.from({ length: OBJECTS }, (_, i) => nameOf(i)).filter((_, i) => i % 3 > 0);
      const found = new Set(listed);
      expect(stable.filter((key) => !found.has(key))).toEqual([]);
      put(l1, "a");
      expect((await listing.page({ ...all, limit: 1 })).entries.map(({ key }) => key)).toEqual(["a"]);
      l1.delete([{ tenant: "", key: "a" }]);
      expect((await listing.page({ ...all, limit: 1 })).entries.map(({ key }) => key)).not.toEqual(["a"]);
    }),
    { numRuns: 3 },
  );
});
