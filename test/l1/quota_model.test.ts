import { test } from "bun:test";
import * as fc from "fast-check";
import { allocateArena, Arena, type ArenaMemory } from "../../src/l1/arena/arena.ts";
import { FIELD, FLAG, STATE } from "../../src/l1/arena/entry.ts";
import { GRANULE_BYTES } from "../../src/l1/arena/layout.ts";
import type { Lease, RemovalReason, WriteRequest } from "../../src/l1/l1.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import { openTables, type Tables } from "../../src/l1/tables.ts";
import { audit, clear, commit, FakeClock, request } from "./support.ts";

const KIB = 1024;
const ARENA_BYTES = 64 * KIB;
const HIGH_WATERMARK = 0.8;
const tenants = ["", "a", "b", "c"] as const;
const runs = Number(globalThis.process?.env["QUOTA_MODEL_RUNS"] ?? 150);

type Policy = "s3-fifo" | "lru";
type Tenant = (typeof tenants)[number];

function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Error(what());
}

/** What a tenant has in L1. */
interface Holdings {
  readonly usedBytes: number;
  /** Objects that may be evicted. */
  readonly evictable: number;
}

/** Two threads over one L1, the quotas that should be in effect, and a check of every eviction when it happens. */
class World {
  readonly memory: ArenaMemory;
  readonly policy: Policy;
  readonly clock = new FakeClock();
  readonly threads: readonly L1Manager[];
  readonly quotas = new Map<Tenant, { readonly limitBytes: number; readonly isStrict: boolean }>();
  readonly stagings: { readonly lease: Lease; readonly tenant: Tenant; readonly sizeBytes: number }[] = [];
  readonly reads: Lease[] = [];
  /** Who is writing, and how many bytes of memory; undefined: the loop. */
  claim: { readonly tenant: Tenant; readonly bytes: number } | undefined;
  /** Whether tenants within their quotas filled L1 to the high watermark when the loop began. */
  isFullOfQuotas = false;
  evictions = 0;
  readonly #tables: Tables;

  constructor(policy: Policy) {
    this.policy = policy;
    this.memory = allocateArena({ sizeBytes: ARENA_BYTES, maxObjects: 60, maxQuotas: 3, hashSeed: 7 }, "private");
    this.threads = [1, 2].map((workerId) =>
      new L1Manager(this.memory, {
        workerId,
        clock: this.clock,
        publish: () => {},
        onRemoved: ({ bytes, tenantLength }, reason) =>
          this.#left(new TextDecoder().decode(bytes.slice(0, tenantLength)), reason),
        policy,
        admissionLimitBytes: ARENA_BYTES / 4,
        readLeaseMs: 1000,
        writeLeaseMs: 2000,
        highWatermark: HIGH_WATERMARK,
        lowWatermark: 0.6,
        format: workerId === 1,
      }, new Arena(this.memory))
    );
    this.#tables = openTables(new Arena(this.memory), { workerId: 9, policy, format: false });
  }

  thread(number: number): L1Manager {
    const thread = this.threads[number % 2];
    check(thread !== undefined, () => "no thread");
    return thread;
  }

  holdings(tenant: string): Holdings {
    const { entries } = this.#tables;
    let usedBytes = 0;
    let evictable = 0;
    for (let entry = 0; entry < entries.top; entry++) {
      const state = entries.get(entry, FIELD.state);
      if (state === STATE.free || entries.tenantOf(entry) !== tenant) continue;
      usedBytes += entries.get(entry, FIELD.granules) * GRANULE_BYTES;
      const mayLeave = entries.get(entry, FIELD.pins) === 0 && !entries.hasFlag(entry, FLAG.dirty);
      if (state === STATE.resident && mayLeave) evictable++;
    }
    return { usedBytes, evictable };
  }

  /** Bytes of the tenants within their quotas. */
  get protectedBytes(): number {
    return tenants.reduce((sum, tenant) => {
      const { usedBytes } = this.holdings(tenant);
      return usedBytes <= (this.quotas.get(tenant)?.limitBytes ?? -1) ? sum + usedBytes : sum;
    }, 0);
  }

  /** The sum over the entries is what each quota says, in both threads. */
  reconcile(): void {
    audit(this.memory, this.policy);
    for (const l1 of this.threads) {
      const shown = new Map(l1.quotas().map((quota) => [quota.tenant, quota]));
      check(shown.size === this.quotas.size, () => `${shown.size} quotas instead of ${this.quotas.size}`);
      for (const [tenant, quota] of this.quotas) {
        const found = shown.get(tenant);
        const { usedBytes } = this.holdings(tenant);
        const isSame = found?.usedBytes === usedBytes && found.limitBytes === quota.limitBytes &&
          found.isStrict === quota.isStrict;
        check(isSame, () => `${JSON.stringify(found)} of "${tenant}", which uses ${usedBytes} bytes`);
      }
    }
  }

  /** Checks that it was the turn of an object that is leaving. Called while it is still there. */
  #left(tenant: string, reason: RemovalReason): void {
    if (reason !== "watermark" && reason !== "pressure" && reason !== "quota") return;
    this.evictions++;
    const claimed = (each: string) => this.claim?.tenant === each ? this.claim.bytes : 0;
    const quotaOf = (each: string) => this.quotas.get(tenants.find((one) => one === each) ?? "");
    const isOver = (each: string) => {
      const quota = quotaOf(each);
      return quota !== undefined && this.holdings(each).usedBytes + claimed(each) > quota.limitBytes;
    };
    const what = (text: string) => () =>
      `an object of "${tenant}" leaves for "${this.claim?.tenant ?? "the loop"}" (${reason}): ${text}`;
    if (isOver(tenant)) return check(reason === "quota", what("it uses more than its quota"));
    check(reason !== "quota", what("it does not use more than its quota"));
    const others = tenants.filter((each) => each !== tenant && this.holdings(each).evictable > 0);
    const over = others.find(isOver);
    check(over === undefined, what(`"${over}" uses more than its quota`));
    if (quotaOf(tenant) === undefined) return;
    const none = others.find((each) => quotaOf(each) === undefined);
    check(none === undefined, what(`"${none}" has no quota`));
    if (this.claim === undefined) return check(this.isFullOfQuotas, what("the quotas do not fill L1"));
    const { tenant: claimant, bytes } = this.claim;
    check(quotaOf(claimant) !== undefined && !isOver(claimant), what("the claimant is not within a quota"));
    const isRowMissing = !this.#tables.entries.hasFreeRow;
    const mayTake = claimant === tenant || isRowMissing || this.protectedBytes + bytes > ARENA_BYTES;
    check(mayTake, what("the quotas do not fill L1"));
  }
}

const tenant = fc.constantFrom(...tenants);
const thread = fc.nat(1);
const key = fc.nat(15).map(String);
const size = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 12_000 }));

/** Bytes of memory that an object takes; `tag` is in front of its bytes if it is staged. */
function memoryOf({ key: { tenant, key } }: Pick<WriteRequest, "key">, sizeBytes: number, tag = ""): number {
  return Math.max(1, Math.ceil((tenant.length + key.length + tag.length + sizeBytes) / GRANULE_BYTES)) * GRANULE_BYTES;
}

const operations = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ thread, tenant, key, size, isDirty: fc.integer({ min: 0, max: 5 }).map((n) => n === 0) })
      .map(({ thread, tenant, key, size: sizeBytes, isDirty }) => (world: World) => {
        const object = { key: { tenant, key } };
        const meta = { sizeBytes, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
        const bytes = memoryOf(object, sizeBytes);
        const { usedBytes } = world.holdings(tenant);
        world.claim = { tenant, bytes };
        const dirty = isDirty ? { dirty: { maxEntries: 8, maxBytes: 20_000 } } : {};
        const outcome = world.thread(thread).write({ ...object, meta, bytes: new Uint8Array(sizeBytes) }, dirty);
        const quota = world.quotas.get(tenant);
        const isRefused = quota?.isStrict === true && usedBytes + bytes > quota.limitBytes;
        check(
          outcome === "full" || (outcome === "over_quota") === isRefused,
          () => `write of ${bytes} beside ${usedBytes} of ${JSON.stringify(quota)}: ${outcome}`,
        );
      }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ thread, tenant, key, size, isLoad: fc.boolean() })
      .map(({ thread, tenant, key, size: sizeBytes, isLoad }) => (world: World) => {
        const meta = { sizeBytes, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
        const asked = request(key, sizeBytes, { key: { tenant, key }, ...(isLoad ? { loading: meta } : {}) });
        world.claim = { tenant, bytes: memoryOf(asked, sizeBytes, "put") };
        const [staged] = world.thread(thread).reserveWrite([asked], "put");
        if (typeof staged === "object") world.stagings.push({ lease: staged.lease, tenant, sizeBytes });
        check(!isLoad || staged !== "over_quota", () => "a load is refused for a quota");
      }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ thread, pick: fc.nat(), sizeBytes: size, how: fc.nat(3) })
      .map(({ thread, pick, sizeBytes, how }) => (world: World) => {
        const at = pick % Math.max(1, world.stagings.length);
        const staging = world.stagings[at];
        if (staging === undefined) return;
        const l1 = world.thread(thread);
        if (how === 0) {
          world.claim = { tenant: staging.tenant, bytes: 0 };
          l1.abort([staging.lease]);
        } else {
          world.claim = { tenant: staging.tenant, bytes: 0 };
          l1.finishWrite(
            [commit({ lease: staging.lease, extents: [] }, Math.min(staging.sizeBytes, sizeBytes))],
            "replace",
          );
        }
        world.stagings.splice(at, 1);
      }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      thread,
      tenant,
      limitBytes: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * ARENA_BYTES })),
      isStrict: fc.boolean(),
      isEnd: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    }).map(({ thread, tenant, limitBytes, isStrict, isEnd }) => (world: World) => {
      const l1 = world.thread(thread);
      const hadOne = world.quotas.has(tenant);
      const isSet = l1.setQuota(tenant, isEnd ? undefined : { limitBytes, isStrict });
      for (const _ of l1.settleQuotas());
      check(isSet === (isEnd ? hadOne : hadOne || world.quotas.size < 3), () => `set "${tenant}": ${isSet}`);
      if (isEnd) world.quotas.delete(tenant);
      else if (isSet) world.quotas.set(tenant, { limitBytes, isStrict });
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ thread, tenant, key, how: fc.nat(4) }).map(
      ({ thread, tenant, key, how }) => (world: World) => {
        const l1 = world.thread(thread);
        if (how === 0) l1.delete([{ tenant, key }]);
        else if (how === 1) world.reads.push(...l1.reserveRead([{ tenant, key }]).flatMap((read) => read?.lease ?? []));
        else if (how === 2) l1.finishRead(world.reads.splice(0));
        else if (how === 3) l1.finishRead(l1.takeDirty(9).map(({ resident }) => resident.lease));
        else l1.hit({ tenant, key }, ARENA_BYTES, () => true);
      },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({ thread, ms: fc.constantFrom(1, 900) }).map(({ thread, ms }) => (world: World) => {
      world.clock.now += ms;
      world.claim = undefined;
      world.isFullOfQuotas = world.protectedBytes >= ARENA_BYTES * HIGH_WATERMARK;
      world.thread(thread).tick();
    }),
  },
  { weight: 1, arbitrary: tenant.map((tenant) => (world: World) => void clear(world.thread(0), tenant)) },
);

for (const policy of ["s3-fifo", "lru"] as const) {
  test(`quotas count every entry, and nobody within one is evicted before those above (${policy})`, () => {
    let evictions = 0;
    fc.assert(
      fc.property(fc.array(operations, { maxLength: 150, size: "max" }), (steps) => {
        const world = new World(policy);
        for (const step of steps) {
          step(world);
          world.reconcile();
        }
        evictions += world.evictions;
      }),
      { numRuns: runs, includeErrorInReport: true },
    );
    check(evictions > runs, () => `only ${evictions} evictions in ${runs} runs`);
  });
}
