import { test } from "bun:test";
import * as fc from "fast-check";
import type { ArenaMemory } from "../../src/l1/arena/arena.ts";
import type { ObjectMeta } from "../../src/core/object.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import type { ArenaOptions } from "../../src/l1/arena/layout.ts";
import type { Decide, Following, Lease, Resident } from "../../src/l1/l1.ts";
import { audit, clear as clearL1, commit, type FakeClock, keysOf, makeL1, type Told } from "./support.ts";

const READ_LEASE_MS = 1000;
const WRITE_LEASE_MS = 2000;

interface Content {
  readonly seed: number;
  readonly sizeBytes: number;
}

interface Held {
  readonly id: string;
  readonly content: Content;
  readonly expiresMs: number;
  readonly temporary: boolean;
  pins: number;
}

interface WriteToken {
  readonly lease: Lease;
  readonly id: string;
  readonly tag: string;
  readonly loading: boolean;
  readonly temporary: boolean;
  readonly expiresMs: number;
  content: Content;
  deadlineMs: number;
  superseded: boolean;
  live: boolean;
  /** What it became, for its followers; pins live on it from the start. */
  readonly held: Held;
  outcome: "loading" | "done" | "failed";
}

interface ReadToken {
  readonly lease: Lease;
  readonly extents: readonly Uint8Array[];
  readonly held: Held;
  readonly followed?: { readonly view: Following; readonly write: WriteToken };
  count: number;
  deadlineMs: number;
}

/** A client's lease on one object. */
interface HoldToken {
  readonly holder: number;
  readonly held: Held;
  readonly deadlineMs: number;
}

const holderOf = (holder: number) => ({ high: holder, low: -holder });

function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Error(what());
}

/** The kept headers of a content. */
function headersOf({ seed }: Content): string {
  return seed % 2 === 0 ? "" : `x:${"v".repeat((seed * 97) % 3000)}${seed}\n`;
}

/** What of a content stands in its metadata. */
function metaOf(content: Content): readonly unknown[] {
  return [content.sizeBytes, content.seed, headersOf(content)];
}

function metaSeen({ sizeBytes, version, headers = "" }: ObjectMeta): readonly unknown[] {
  return [sizeBytes, version, headers];
}

function equal(found: unknown, wanted: unknown, what: string): void {
  check(
    JSON.stringify(found) === JSON.stringify(wanted),
    () => `${what}: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`,
  );
}

const keyOf = (id: string) => ({ tenant: id.slice(0, 1).trim(), key: id.slice(1) });

/** What L1 should hold, with the L1 beside it: every step does both and compares. */
class World {
  readonly l1: L1Manager;
  /** The L1 of a thread that only hits. */
  readonly another: L1Manager;
  readonly clock: FakeClock;
  readonly objects = new Map<string, Held>();
  readonly writes: WriteToken[] = [];
  readonly reads: ReadToken[] = [];
  holds: HoldToken[] = [];
  /** Removals the step should have told, "tenant reason" → [keys, bytes]; evictions are added when they are seen. */
  readonly #removed = new Map<string, [number, number]>();
  /** The keys that left, "id reason", as the model and as the listener know them. */
  readonly #left = { wanted: new Array<string>(), told: new Array<string>() };
  readonly #told: Told[];
  readonly #memory: ArenaMemory;
  readonly #policy: "s3-fifo" | "lru";
  #seed = 0;

  constructor(arena: Partial<ArenaOptions>, options: { policy: "s3-fifo" | "lru"; sharing: "shared" | "private" }) {
    const { l1, clock, told, memory } = makeL1(arena, {
      ...options,
      readLeaseMs: READ_LEASE_MS,
      writeLeaseMs: WRITE_LEASE_MS,
      admissionLimitBytes: (arena.sizeBytes ?? 0) / 3,
      onRemoved: ({ bytes, tenantLength, length }, reason) => {
        const text = (from: number, to: number) => new TextDecoder().decode(bytes.slice(from, to));
        const id = text(0, tenantLength).padEnd(1) + text(tenantLength, length);
        this.#left.told.push(`${id} ${/pressure|watermark/.test(reason) ? "evicted" : reason}`);
      },
    });
    this.l1 = l1;
    this.another = new L1Manager(memory, {
      workerId: 2,
      clock,
      publish: () => {},
      policy: options.policy,
      admissionLimitBytes: 1,
      readLeaseMs: 1,
      writeLeaseMs: 1,
      highWatermark: 1,
      lowWatermark: 1,
      format: false,
    });
    this.clock = clock;
    this.#told = told;
    this.#memory = memory;
    this.#policy = options.policy;
  }

  newContent(sizeBytes: number): Content {
    return { seed: ++this.#seed, sizeBytes };
  }

  fill(extents: readonly Uint8Array[], { seed, sizeBytes }: Content): void {
    let at = 0;
    for (const extent of extents) {
      for (let i = 0; i < extent.length && at < sizeBytes; i++, at++) extent[i] = (seed * 37 + at) & 255;
    }
    equal(at, sizeBytes, "room for the content");
  }

  remove(held: Held, reason: string): void {
    this.objects.delete(held.id);
    this.#countRemoval(held, reason);
  }

  isDue(held: Held): boolean {
    return held.expiresMs !== 0 && held.expiresMs <= this.clock.now;
  }

  isLive(write: WriteToken): boolean {
    return write.live && write.deadlineMs > this.clock.now;
  }

  supersede(ids: (id: string) => boolean): void {
    for (const write of this.writes) if (write.live && write.loading && ids(write.id)) write.superseded = true;
  }

  /** Models unpin: the last reader of a temporary object takes it along. */
  unpin(held: Held, count: number): void {
    held.pins -= count;
    if (held.pins === 0 && held.temporary && this.objects.get(held.id) === held) this.remove(held, "temporary");
  }

  /** Models the end of the holds that satisfy `which`; returns their number. */
  endHolds(which: (hold: HoldToken) => boolean): number {
    const ended = this.holds.filter(which);
    this.holds = this.holds.filter((hold) => !which(hold));
    for (const { held } of ended) this.unpin(held, 1);
    return ended.length;
  }

  endWrite(write: WriteToken, outcome: "done" | "failed"): void {
    write.live = false;
    write.outcome = outcome;
  }

  /** Models a write in one step. */
  write(held: Held): void {
    const resident = this.objects.get(held.id);
    // Room may have been made at the cost of the object itself.
    const isEvicted = this.#left.told.includes(`${held.id} evicted`);
    if (resident !== undefined) this.remove(resident, isEvicted ? "evicted" : "replaced");
    this.supersede((id) => id === held.id);
    this.objects.set(held.id, held);
  }

  /** Models the admission of a staging whose lease is live. */
  admit(write: WriteToken, mode: "replace" | "keep", content: Content): string {
    this.endWrite(write, "done");
    if (write.superseded) return "superseded";
    const found = this.objects.get(write.id);
    if (found !== undefined && this.isDue(found)) this.remove(found, "expired");
    const resident = this.objects.get(write.id);
    if (resident !== undefined && mode === "keep") return "duplicate";
    if (resident !== undefined) this.remove(resident, "replaced");
    if (mode === "replace") this.supersede((id) => id === write.id);
    const held = write.loading ? write.held : { ...write.held, content };
    this.objects.set(write.id, held);
    return "admitted";
  }

  lookAt(found: Pick<Resident, "meta" | "extents">, held: Held): void {
    equal(metaSeen(found.meta), metaOf(held.content), "meta");
    this.#compare(found.extents, held.content);
  }

  reconcile(): void {
    for (const held of this.objects.values()) {
      const meta = this.l1.peek(keyOf(held.id));
      if (this.isDue(held)) {
        check(meta === undefined, () => `${held.id} is there after its time`);
        this.remove(held, "expired");
      } else if (meta === undefined) {
        check(held.pins === 0, () => `${held.id} was evicted while it was leased`);
        this.remove(held, "evicted");
      } else equal(metaSeen(meta), metaOf(held.content), "peek");
    }
    const told = new Map<string, [number, number]>();
    for (const { name, fields } of this.#told.splice(0)) {
      if (name !== "l1.removed" || !("reason" in fields) || !("bytes" in fields)) continue;
      const reason = /pressure|watermark/.test(fields.reason) ? "evicted" : fields.reason;
      addTo(told, `${fields.tenant} ${reason}`, [fields.keys, fields.bytes]);
    }
    equal(sorted(told), sorted(this.#removed), "l1.removed");
    this.#removed.clear();
    equal(this.#left.told.splice(0).toSorted(), this.#left.wanted.splice(0).toSorted(), "what the listener was told");
    for (const read of this.reads) {
      if (read.count === 0) continue;
      this.#compare(read.extents, read.held.content);
      const isFresh = read.deadlineMs > this.clock.now;
      equal(this.l1.isCurrent(read.lease), isFresh && this.objects.get(read.held.id) === read.held, "isCurrent");
      const { followed } = read;
      if (followed !== undefined) equal(followed.view.state(), isFresh ? followed.write.outcome : "failed", "state");
    }
    const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);
    const usage = this.l1.usage();
    equal(
      [usage.objects, usage.payloadBytes, usage.readLeases, usage.writeLeases, usage.holds],
      [
        this.objects.size,
        sum([...this.objects.values()].map((held) => held.content.sizeBytes)),
        sum(this.reads.map((read) => read.count)),
        this.writes.filter((write) => write.live).length,
        this.holds.length,
      ],
      "usage",
    );
    check(usage.heldBytes <= usage.capacityBytes / 4, () => `${usage.heldBytes} bytes are held`);
    audit(this.#memory, this.#policy);
  }

  /** Ends everything: nothing may be left. */
  finish(): void {
    this.clock.now += WRITE_LEASE_MS;
    this.l1.tick();
    clearL1(this.l1);
    const { objects, usedBytes, stagingBytes, payloadBytes, readLeases, writeLeases, ...more } = this.l1.usage();
    equal([objects, usedBytes, stagingBytes, payloadBytes, readLeases, writeLeases], [0, 0, 0, 0, 0, 0], "the end");
    equal([more.holds, more.heldBytes], [0, 0], "holds at the end");
    audit(this.#memory, this.#policy);
  }

  #countRemoval(held: Held, reason: string): void {
    addTo(this.#removed, `${keyOf(held.id).tenant} ${reason}`, [1, held.content.sizeBytes]);
    this.#left.wanted.push(`${held.id} ${reason}`);
  }

  #compare(extents: readonly Uint8Array[], { seed, sizeBytes }: Content): void {
    let at = 0;
    for (const extent of extents) {
      for (let i = 0; i < extent.length; i++, at++) {
        if (extent[i] !== ((seed * 37 + at) & 255)) throw new Error(`content ${seed} is wrong at byte ${at}`);
      }
    }
    equal(at, sizeBytes, "size");
  }
}

function sorted(counts: ReadonlyMap<string, unknown>): readonly unknown[] {
  return [...counts.keys()].toSorted().map((name) => [name, counts.get(name)]);
}

function addTo(counts: Map<string, [number, number]>, name: string, [keys, bytes]: readonly [number, number]): void {
  const [hasKeys, hasBytes] = counts.get(name) ?? [0, 0];
  counts.set(name, [hasKeys + keys, hasBytes + bytes]);
}

/** One kind of step with its arguments. */
class Step<Args> implements fc.Command<World, undefined> {
  readonly #name: string;
  readonly #args: Args;
  readonly #do: (world: World, args: Args) => void;

  constructor(name: string, args: Args, act: (world: World, args: Args) => void) {
    this.#name = name;
    this.#args = args;
    this.#do = act;
  }

  check(): boolean {
    return true;
  }

  run(world: World): void {
    this.#do(world, this.#args);
    world.reconcile();
  }

  toString(): string {
    return `${this.#name}(${JSON.stringify(this.#args)})`;
  }
}

function step<Args>(name: string, args: fc.Arbitrary<Args>, act: (world: World, args: Args) => void) {
  return args.map((each): fc.Command<World, undefined> => new Step(name, each, act));
}

const id = fc.constantFrom(" a", " b", " c", "ta", "tb", "ub");
const tag = fc.constantFrom("put", "load");
const mode = fc.constantFrom<"replace" | "keep">("replace", "keep");
const count = fc.integer({ min: 1, max: 3 });
const picks = fc.array(fc.nat(50), { minLength: 1, maxLength: 3 });

/** Tokens by position from the newest back: live ones, and stale ones that are tried again. */
function pick<T>(tokens: readonly T[], numbers: readonly number[]): T[] {
  const places = new Set(numbers.map((number) => number % Math.max(1, tokens.length)));
  return [...places].flatMap((place) => tokens.at(-1 - place) ?? []);
}

function finishWrites(world: World, tokens: readonly WriteToken[], how: "replace" | "keep"): string[] {
  const outcomes: string[] = tokens.map(() => "stale");
  for (const [i, write] of [...tokens.entries()].toReversed()) {
    if (world.isLive(write)) outcomes[i] = world.admit(write, how, write.content);
  }
  return outcomes;
}

function commitOf(write: WriteToken) {
  const { content: { seed, sizeBytes }, expiresMs } = write;
  return commit({ lease: write.lease, extents: [] }, sizeBytes, { version: seed, expiresMs });
}

function steps(maxBytes: number) {
  const size = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: maxBytes }));
  const write = fc.record({
    id,
    size,
    loading: fc.boolean(),
    temporary: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    ttlMs: fc.constantFrom(0, 0, 500, 3000),
  });
  const reserveWrite = step(
    "reserveWrite",
    fc.record({ writes: fc.array(write, { minLength: 1, maxLength: 3 }), tag }),
    (world, { writes, tag }) => {
      const { l1, clock } = world;
      const made = writes.map((each) => {
        const content = world.newContent(each.size);
        const expiresMs = each.ttlMs === 0 ? 0 : clock.now + each.ttlMs;
        return { ...each, content, expiresMs };
      });
      const results = l1.reserveWrite(
        made.map(({ id, content, loading, temporary, expiresMs }) => ({
          key: keyOf(id),
          sizeBytes: content.sizeBytes,
          contentType: "",
          sha256: "",
          headers: headersOf(content),
          temporary,
          ...(loading
            ? {
              loading: {
                sizeBytes: content.sizeBytes,
                version: content.seed,
                expiresMs,
                crc32: 0,
                createdMs: 0,
                contentType: "",
                sha256: "",
              },
            }
            : {}),
        })),
        tag,
      );
      const isFull = results.includes("no_room");
      made.forEach(({ id, content, loading, temporary, expiresMs }, i) => {
        const others = world.writes.filter((each) =>
          each.live && !each.superseded && each.id === id && each.tag === tag
        );
        const result = results[i];
        if (content.sizeBytes > l1.admissionLimitBytes) return equal(result, "too_large", "reserveWrite");
        for (const other of others) if (!world.isLive(other)) world.endWrite(other, "failed");
        if (others.some((other) => world.isLive(other))) return equal(result, "staging", "reserveWrite");
        if (isFull) return equal(result, "no_room", "reserveWrite");
        check(typeof result === "object", () => `reserveWrite ${id}: ${JSON.stringify(result)}`);
        world.fill(result.extents, content);
        const held = { id, content, expiresMs, temporary, pins: 0 };
        const deadlineMs = clock.now + WRITE_LEASE_MS;
        const token = { lease: result.lease, id, tag, loading, temporary, expiresMs, content, deadlineMs, held };
        world.writes.push({ ...token, superseded: false, live: true, outcome: "loading" });
      });
    },
  );
  const writeWhole = step("write", write, (world, { id, size, ttlMs }) => {
    const { l1, clock } = world;
    const content = world.newContent(size);
    const expiresMs = ttlMs === 0 ? 0 : clock.now + ttlMs;
    const bytes = Uint8Array.from({ length: size }, (_, at) => (content.seed * 37 + at) & 255);
    const ofContent = { sizeBytes: size, version: content.seed, headers: headersOf(content) };
    const meta = { ...ofContent, expiresMs, crc32: 0, createdMs: 0, contentType: "", sha256: "" };
    const seen: unknown[] = [];
    const decide: Decide = (known) => {
      seen.push(known?.meta?.version);
      return size % 5 !== 0;
    };
    const before = world.objects.get(id);
    const outcome = l1.write({ key: keyOf(id), meta, bytes }, { decide });
    if (size > l1.admissionLimitBytes) return equal(outcome, "too_large", "write");
    if (before !== undefined && world.isDue(before)) world.remove(before, "expired");
    equal(seen[0], world.objects.get(id)?.content.seed, "what decide was told");
    if (size % 5 === 0) return equal(outcome, "unwanted", "write");
    if (outcome === "no_room") return;
    equal(outcome, "admitted", "write");
    world.write({ id, content, expiresMs, temporary: false, pins: 0 });
  });
  const extend = step("extend", fc.record({ picks, size }), (world, { picks, size }) => {
    for (const write of pick(world.writes, picks.slice(0, 1))) {
      const result = world.l1.extend(write.lease, size);
      if (!world.isLive(write)) return equal(result, "stale", "extend");
      if (size > world.l1.admissionLimitBytes) return equal(result, "too_large", "extend");
      if (result === "no_room" || write.loading) return;
      check(typeof result === "object", () => `extend: ${JSON.stringify(result)}`);
      if (size > write.content.sizeBytes) write.content = { ...write.content, sizeBytes: size };
      world.fill(result, write.content);
    }
  });
  const finishWrite = step("finishWrite", fc.record({ picks, mode }), (world, { picks, mode }) => {
    const tokens = pick(world.writes, picks);
    const outcomes = world.l1.finishWrite(tokens.map(commitOf), mode);
    equal(outcomes, finishWrites(world, tokens, mode), "finishWrite");
  });
  const finishAndRead = step("finishAndRead", fc.record({ picks, mode, count }), (world, { picks, mode, count }) => {
    const [write] = pick(world.writes, picks);
    if (write === undefined) return;
    const [found] = world.l1.finishWriteAndReserveRead([commitOf(write)], mode, count);
    const [outcome] = finishWrites(world, [write], mode);
    const held = outcome === "stale" ? undefined : world.objects.get(write.id);
    equal(found !== undefined, held !== undefined && !world.isDue(held), "finishWriteAndReserveRead");
    if (found === undefined || held === undefined) return;
    world.lookAt(found, held);
    held.pins += count;
    const deadlineMs = world.clock.now + READ_LEASE_MS;
    world.reads.push({ lease: found.lease, extents: found.extents, held, count, deadlineMs });
  });
  const abort = step("abort", picks, (world, picks) => {
    const tokens = pick(world.writes, picks);
    world.l1.abort(tokens.map((write) => write.lease));
    for (const write of tokens) if (world.isLive(write)) world.endWrite(write, "failed");
  });
  const reserveRead = step(
    "reserveRead",
    fc.record({ ids: fc.array(id, { minLength: 1, maxLength: 3 }), count }),
    (world, { ids, count }) => {
      const found = world.l1.reserveRead(ids.map(keyOf), count);
      ids.forEach((id, i) => {
        const held = world.objects.get(id);
        const each = found[i];
        equal(each !== undefined, held !== undefined, `reserveRead ${id}`);
        if (each === undefined || held === undefined) return;
        world.lookAt(each, held);
        held.pins += count;
        const deadlineMs = world.clock.now + READ_LEASE_MS;
        world.reads.push({ lease: each.lease, extents: each.extents, held, count, deadlineMs });
      });
    },
  );
  const hit = step("hit", fc.record({ id, size, removes: fc.boolean() }), (world, { id, size, removes }) => {
    const held = world.objects.get(id);
    const isHit = held !== undefined && !held.temporary && held.content.sizeBytes <= size;
    const found = world.another.hit(keyOf(id), size, (meta, extents) => {
      if (held === undefined) return true;
      if (removes) {
        world.l1.delete([keyOf(id)]);
        world.supersede((each) => each === id);
        world.remove(held, "deleted");
      }
      world.lookAt({ meta, extents }, held);
      return true;
    });
    equal(found ?? false, isHit, `hit ${id}`);
  });
  const follow = step("follow", fc.record({ id, tag }), (world, { id, tag }) => {
    const view = world.l1.follow(keyOf(id), tag);
    const write = world.writes.find((each) =>
      each.id === id && each.tag === tag && each.loading && !each.superseded && world.isLive(each)
    );
    equal(view !== undefined, write !== undefined, "follow");
    if (view === undefined || write === undefined) return;
    const { held } = write;
    world.lookAt(view, held);
    held.pins++;
    const deadlineMs = world.clock.now + READ_LEASE_MS;
    const followed = { view, write };
    world.reads.push({ lease: view.lease, extents: view.extents, held, count: 1, deadlineMs, followed });
  });
  const finishRead = step("finishRead", fc.record({ picks, count }), (world, { picks, count }) => {
    const tokens = pick(world.reads, picks);
    const done = world.l1.finishRead(tokens.map((read) => read.lease), count);
    equal(done, tokens.map((read) => read.count > 0), "finishRead");
    for (const read of tokens) {
      const given = Math.min(count, read.count);
      if (given === 0) continue;
      read.count -= given;
      world.unpin(read.held, given);
    }
  });
  const renew = step("renew", fc.record({ pick: fc.nat(50), write: fc.boolean() }), (world, args) => {
    const [write] = pick(world.writes, [args.pick]);
    const [read] = pick(world.reads, [args.pick]);
    if (args.write && write !== undefined) {
      equal(world.l1.renew(write.lease), world.isLive(write), "renew write");
      if (world.isLive(write)) write.deadlineMs = world.clock.now + WRITE_LEASE_MS;
    } else if (read !== undefined) {
      const isLive = read.count > 0 && read.deadlineMs > world.clock.now;
      equal(world.l1.renew(read.lease), isLive, "renew read");
      if (isLive) read.deadlineMs = world.clock.now + READ_LEASE_MS;
    }
  });
  const remove = step("delete", fc.array(id, { minLength: 1, maxLength: 2 }), (world, ids) => {
    const removed = world.l1.delete(ids.map(keyOf));
    const wanted = ids.map((id) => {
      world.supersede((each) => each === id);
      const held = world.objects.get(id);
      if (held !== undefined) world.remove(held, "deleted");
      return held !== undefined;
    });
    equal(removed, wanted, "delete");
  });
  const clear = step("clear", fc.constantFrom(undefined, "", "t"), (world, tenant) => {
    const isMeant = (id: string) => tenant === undefined || keyOf(id).tenant === tenant;
    world.supersede(isMeant);
    const gone = [...world.objects.values()].filter((held) => isMeant(held.id));
    for (const held of gone) world.remove(held, "cleared");
    equal(clearL1(world.l1, tenant), gone.length, "clear");
  });
  const has = step("has", fc.array(id, { maxLength: 4 }), (world, ids) => {
    equal(world.l1.has(ids.map(keyOf)), ids.map((each) => world.objects.has(each)), "has");
  });
  const hold = step(
    "hold",
    fc.record({ ids: fc.array(id, { maxLength: 3 }), holder: fc.nat(2), ms: fc.constantFrom(1, 500, 1500) }),
    (world, { ids, holder, ms }) => {
      const untilMs = world.clock.now + ms;
      const outcomes = world.l1.hold(ids.map(keyOf), { holder: holderOf(holder), untilMs });
      for (const [i, each] of ids.entries()) {
        const held = world.objects.get(each);
        const isFull = outcomes[i] === "full";
        equal(outcomes[i], held === undefined ? "absent" : isFull ? "full" : "held", `hold ${each}`);
        if (held === undefined || isFull) continue;
        held.pins++;
        world.holds.push({ holder, held, deadlineMs: untilMs });
      }
    },
  );
  const release = step(
    "release",
    fc.record({ holder: fc.nat(2), tenant: fc.constantFrom("", "t", "u") }),
    (world, { holder, tenant }) => {
      const released = world.l1.release(holderOf(holder), tenant);
      equal(
        released,
        world.endHolds((each) => each.holder === holder && keyOf(each.held.id).tenant === tenant),
        "release",
      );
    },
  );
  const touch = step("touch", fc.array(id, { maxLength: 3 }), (world, ids) => world.l1.touch(ids.map(keyOf)));
  const list = step("list", fc.constantFrom("", "t"), (world, tenant) => {
    const listed = keysOf(world.l1, { tenant });
    const wanted = [...world.objects.keys()].map(keyOf).filter((key) => key.tenant === tenant).map((key) => key.key);
    equal(listed, wanted.toSorted(), "list");
  });
  const advance = step("advance", fc.constantFrom(1, 400, 999, 2000), (world, ms) => {
    world.clock.now += ms;
  });
  const tick = step("tick", fc.constant(0), (world) => {
    world.l1.tick();
    for (const write of world.writes) if (write.live && !world.isLive(write)) world.endWrite(write, "failed");
    for (const read of world.reads) {
      if (read.count === 0 || read.deadlineMs > world.clock.now) continue;
      const { count } = read;
      read.count = 0;
      world.unpin(read.held, count);
    }
    world.endHolds(({ deadlineMs }) => deadlineMs <= world.clock.now);
  });
  const often = [
    reserveWrite,
    reserveWrite,
    reserveWrite,
    finishWrite,
    finishWrite,
    writeWhole,
    reserveRead,
    reserveRead,
    hit,
    hit,
  ];
  const rare = [
    extend,
    finishAndRead,
    abort,
    follow,
    finishRead,
    renew,
    remove,
    clear,
    has,
    hold,
    hold,
    release,
    touch,
    list,
    advance,
    tick,
  ];
  return [...often, ...rare];
}

const arenas = {
  "a tiny shared arena": { sizeBytes: 32 * 1024, maxObjects: 8 },
  "several segments": { sizeBytes: 600 * 1024, maxObjects: 100, segmentBytes: 256 * 1024 },
};

for (const [name, arena] of Object.entries(arenas)) {
  for (const policy of ["s3-fifo", "lru"] as const) {
    for (const sharing of ["shared", "private"] as const) {
      test(`L1Manager does what a Map would when commands come in any order: ${name}, ${policy}, ${sharing}`, () => {
        fc.assert(
          fc.property(
            fc.commands(steps(Math.floor(arena.sizeBytes / 2.5)), { maxCommands: 80, size: "max" }),
            (commands) => {
              const world = new World(arena, { policy, sharing });
              fc.modelRun(() => ({ model: world, real: undefined }), commands);
              world.finish();
            },
          ),
          { numRuns: Number(globalThis.process?.env["L1_MODEL_RUNS"] ?? 80) },
        );
      });
    }
  }
}
