import { type Clock } from "../core/clock.ts";
import { compareKeys, type ObjectKey } from "../core/key.ts";
import { VitrineError } from "../core/errors.ts";
import { isExpired, type ObjectMeta } from "../core/object.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import { Allocator } from "./allocator.ts";
import { Arena, type ArenaMemory } from "./arena.ts";
import { EntryTable, FIELD, FLAG, STATE } from "./entry_table.ts";
import { evictionPolicies, type EvictionPolicyName } from "./eviction/mod.ts";
import { KeyBytes } from "./key_bytes.ts";
import { COUNTER, GRANULE_BYTES } from "./layout.ts";
import { LEASE, LeaseTable } from "./lease_table.ts";
import { Lifecycle, type Tables } from "./lifecycle.ts";
import { SharedLock } from "./lock.ts";
import { KeyTally } from "./key_tally.ts";
import type {
  Following,
  L1,
  L1Entry,
  L1Usage,
  Lease,
  RemovalReason,
  Resident,
  Staging,
  WriteCommit,
  WriteOutcome,
  WriteRefusal,
  WriteRequest,
} from "./types.ts";

const NONE = -1;

/** Entries looked at in one locked section of a pass over all of them. */
const PASS_ENTRIES = 512;
/** Entries that one tick checks for expiry. */
const SWEEP_ENTRIES = 8192;
/** Objects that one locked section of the watermark loop evicts. */
const EVICT_BATCH = 128;

const encoder = new TextEncoder();

/** How one thread takes part in an arena. */
export interface L1Options {
  /** This thread's number, 1 or more, unique among the threads that share the arena. */
  readonly holder: number;
  readonly clock: Clock;
  readonly publish: Publish<EventMap>;
  readonly policy: EvictionPolicyName;
  /** Largest object that is admitted, in bytes. */
  readonly admissionLimitBytes: number;
  readonly readLeaseMs: number;
  readonly writeLeaseMs: number;
  /** Share of the arena from which on the loop evicts (0-1), and down to which. */
  readonly highWatermark: number;
  readonly lowWatermark: number;
  /** True for exactly one thread, before the others start: makes the tables of new memory. */
  readonly format: boolean;
}

/** L1 over an arena: locks, takes or gives reservations, and publishes what happened after the lock is given back. */
export class L1Manager implements L1 {
  readonly admissionLimitBytes: number;
  readonly #o: L1Options;
  readonly #w: Int32Array;
  readonly #d: Float64Array;
  readonly #counters: number;
  readonly #granules: number;
  readonly #maxObjects: number;
  readonly #lock: SharedLock;
  readonly #allocator: Allocator;
  readonly #entries: EntryTable;
  readonly #leases: LeaseTable;
  readonly #lifecycle: Lifecycle;
  readonly #touched: (entry: number) => void;
  readonly #key: KeyBytes;
  readonly #tally: KeyTally;

  constructor(memory: ArenaMemory, options: L1Options) {
    const arena = new Arena(memory);
    const allocator = new Allocator(arena);
    const entries = new EntryTable(arena, allocator);
    const leases = new LeaseTable(arena, options.holder);
    if (options.format) {
      allocator.format();
      entries.format();
      leases.format();
    }
    const policy = evictionPolicies[options.policy](arena, entries, options.format);
    const tables: Tables = { arena, allocator, entries, leases, policy };
    this.#lifecycle = new Lifecycle(tables);
    if (options.format) this.#lifecycle.format();
    this.#o = options;
    this.admissionLimitBytes = options.admissionLimitBytes;
    this.#w = arena.words;
    this.#d = arena.doubles;
    this.#counters = arena.layout.at.counters;
    this.#granules = arena.layout.granules;
    this.#maxObjects = arena.layout.maxObjects;
    this.#lock = new SharedLock(arena.words, arena.layout.at.lock, options.holder);
    this.#allocator = allocator;
    this.#entries = entries;
    this.#leases = leases;
    this.#touched = (entry) => policy.touched(entry);
    this.#key = new KeyBytes(arena.layout.hashSeed);
    this.#tally = new KeyTally(options.publish);
  }

  reserveWrite(requests: readonly WriteRequest[], tag: string): readonly (Staging | WriteRefusal)[] {
    const now = this.#o.clock.nowMs();
    const tagBytes = encoder.encode(tag);
    for (const request of requests) this.#key.set(request.key);
    const results = this.#locked(() => {
      const made: (number | WriteRefusal)[] = [];
      for (const request of requests) {
        const entry = this.#stage(request, { tag, tagBytes }, now);
        made.push(entry);
        if (entry === "no_room") return this.#refuseBatch(made, requests.length);
      }
      return made.map((entry, i) =>
        typeof entry === "number" ? this.#stagingOf(entry, requests[i]?.sizeBytes ?? 0) : entry
      );
    });
    requests.forEach((request, i) => {
      if (typeof results[i] === "object") this.#tally.add("l1.write.reserved", request.key.tenant, request.sizeBytes);
    });
    this.#tally.publish();
    return results;
  }

  extend(lease: Lease, sizeBytes: number): readonly Uint8Array[] | "no_room" | "too_large" | "stale" {
    const now = this.#o.clock.nowMs();
    return this.#locked(() => {
      const entry = this.#leases.entryOf(lease, LEASE.write, now);
      if (entry === NONE) return "stale";
      if (sizeBytes > this.admissionLimitBytes) return "too_large";
      if (!this.#lifecycle.extend(entry, sizeBytes)) return "no_room";
      return this.#entries.viewsOf(entry, sizeBytes);
    });
  }

  filled(lease: Lease, filledBytes: number): void {
    const now = this.#o.clock.nowMs();
    this.#locked(() => {
      const entry = this.#leases.entryOf(lease, LEASE.write, now);
      if (entry !== NONE) this.#entries.setDouble(entry, FIELD.filledBytes, filledBytes);
    });
  }

  finishWrite(commits: readonly WriteCommit[], onResident: "replace" | "keep"): readonly WriteOutcome[] {
    const now = this.#o.clock.nowMs();
    const outcomes: WriteOutcome[] = commits.map(() => "stale");
    this.#locked(() => {
      this.#backwards(commits, (commit, i) => {
        outcomes[i] = this.#commit(commit, onResident, { nowMs: now, event: "l1.write.finished" });
      });
    });
    this.#tally.publish();
    return outcomes;
  }

  finishWriteAndReserveRead(
    commits: readonly WriteCommit[],
    onResident: "replace" | "keep",
    count: number = 1,
  ): readonly (Resident | undefined)[] {
    const now = this.#o.clock.nowMs();
    const results: (Resident | undefined)[] = commits.map(() => undefined);
    this.#locked(() => {
      this.#backwards(commits, (commit, i) => {
        const outcome = this.#commit(commit, onResident, { nowMs: now, event: "l1.write_finished_and_read_reserved" });
        const entry = outcome === "stale" ? NONE : this.#entries.findResident(this.#key);
        if (entry === NONE) return;
        results[i] = this.#pin(entry, count, now);
        if (outcome !== "admitted") this.#tallyEntry("l1.read.reserved", entry, 1);
      });
    });
    this.#tally.publish();
    return results;
  }

  abort(leases: readonly Lease[]): void {
    const now = this.#o.clock.nowMs();
    this.#locked(() => {
      for (const lease of leases) {
        const entry = this.#leases.entryOf(lease, LEASE.write, now);
        if (entry === NONE) continue;
        this.#tallyEntry("l1.write.aborted", entry, 1);
        this.#lifecycle.abort(entry);
      }
    });
    this.#tally.publish();
  }

  reserveRead(keys: readonly ObjectKey[], count: number = 1): readonly (Resident | undefined)[] {
    const now = this.#o.clock.nowMs();
    if (keys.length > 1) { for (const key of keys) this.#key.set(key); }
    const found: (Resident | undefined)[] = [];
    this.#lock.acquire();
    try {
      for (const key of keys) {
        this.#key.set(key);
        const entry = this.#findLive(now);
        if (entry === NONE) {
          found.push(undefined);
          continue;
        }
        const resident = this.#pin(entry, count, now);
        this.#touched(entry);
        this.#tally.add("l1.read.reserved", key.tenant, resident.meta.sizeBytes);
        found.push(resident);
      }
    } finally {
      this.#lock.release();
    }
    this.#tell();
    return found;
  }

  follow(key: ObjectKey, tag: string): Following | undefined {
    const now = this.#o.clock.nowMs();
    this.#key.set(key);
    const resident = this.#locked(() => {
      const entry = this.#entries.findStaging(this.#key, tag);
      if (entry === NONE || !this.#entries.hasFlag(entry, FLAG.loading)) return undefined;
      this.#tallyEntry("l1.read.reserved", entry, 1);
      return { entry, ...this.#pin(entry, 1, now) };
    });
    this.#tally.publish();
    if (resident === undefined) return undefined;
    const { entry, lease, meta, extents } = resident;
    return {
      lease,
      meta,
      extents,
      filledBytes: () => this.#locked(() => this.#filledBytes(lease, entry)),
      state: () => this.#locked(() => this.#loadState(lease, entry)),
    };
  }

  finishRead(leases: readonly Lease[], count: number = 1): readonly boolean[] {
    const done: boolean[] = [];
    this.#lock.acquire();
    try {
      for (const lease of leases) {
        const entry = this.#leases.entryOf(lease, LEASE.read, 0);
        done.push(entry !== NONE);
        if (entry === NONE) continue;
        const held = this.#leases.countOf(lease.slot);
        const given = Math.min(count, held);
        this.#tallyEntry("l1.read.finished", entry, 1);
        if (given === held) this.#leases.end(lease.slot);
        else this.#leases.setCount(lease.slot, held - given);
        this.#lifecycle.unpin(entry, given);
      }
    } finally {
      this.#lock.release();
    }
    this.#tell();
    return done;
  }

  renew(lease: Lease): boolean {
    const now = this.#o.clock.nowMs();
    return this.#locked(() => {
      const isWrite = this.#leases.entryOf(lease, LEASE.write, now) !== NONE;
      if (!isWrite && this.#leases.entryOf(lease, LEASE.read, now) === NONE) return false;
      this.#leases.setDeadline(lease.slot, now + (isWrite ? this.#o.writeLeaseMs : this.#o.readLeaseMs));
      return true;
    });
  }

  isCurrent(lease: Lease): boolean {
    const now = this.#o.clock.nowMs();
    return this.#locked(() => {
      const entry = this.#leases.entryOf(lease, LEASE.read, now);
      return entry !== NONE && this.#entries.get(entry, FIELD.state) === STATE.resident &&
        !this.#lifecycle.isDue(entry, now);
    });
  }

  peek(key: ObjectKey): ObjectMeta | undefined {
    const now = this.#o.clock.nowMs();
    this.#key.set(key);
    const meta = this.#locked(() => {
      const entry = this.#findLive(now);
      return entry === NONE ? undefined : this.#entries.metaOf(entry);
    });
    return meta;
  }

  delete(keys: readonly ObjectKey[], reason: RemovalReason = "deleted"): readonly boolean[] {
    const now = this.#o.clock.nowMs();
    for (const key of keys) this.#key.set(key);
    return this.#locked(() =>
      keys.map((key) => {
        this.#key.set(key);
        this.#lifecycle.supersedeLoads(this.#key);
        const entry = this.#findLive(now);
        if (entry !== NONE) this.#lifecycle.remove(entry, reason);
        return entry !== NONE;
      })
    );
  }

  clear(tenant?: string): number {
    let removed = 0;
    this.#pass((entry, state) => {
      if (tenant !== undefined && this.#entries.tenantOf(entry) !== tenant) return;
      if (state === STATE.staging && this.#entries.hasFlag(entry, FLAG.loading)) this.#entries.unlink(entry);
      if (state !== STATE.resident) return;
      this.#lifecycle.remove(entry, "cleared");
      removed++;
    });
    return removed;
  }

  touch(keys: readonly ObjectKey[]): void {
    const now = this.#o.clock.nowMs();
    for (const key of keys) this.#key.set(key);
    this.#locked(() => {
      for (const key of keys) {
        this.#key.set(key);
        const entry = this.#findLive(now);
        if (entry !== NONE) this.#touched(entry);
      }
    });
  }

  list(
    query: { readonly tenant: string; readonly prefix: string; readonly limit: number; readonly after: string },
  ): readonly L1Entry[] {
    const now = this.#o.clock.nowMs();
    const found: L1Entry[] = [];
    this.#pass((entry, state) => {
      if (state !== STATE.resident || this.#lifecycle.isDue(entry, now)) return;
      const key = this.#entries.keyOf(entry);
      if (key.tenant !== query.tenant || !key.key.startsWith(query.prefix)) return;
      if (query.after !== "" && compareKeys(key.key, query.after) <= 0) return;
      found.push({ key, meta: this.#entries.metaOf(entry) });
    });
    return found.sort((a, b) => compareKeys(a.key.key, b.key.key)).slice(0, query.limit);
  }

  usage(): L1Usage {
    return this.#locked(() => ({
      objects: this.#counter(COUNTER.residents),
      maxObjects: this.#maxObjects,
      usedBytes: (this.#granules - this.#allocator.freeGranules) * GRANULE_BYTES,
      capacityBytes: this.#granules * GRANULE_BYTES,
      stagingBytes: this.#counter(COUNTER.stagingGranules) * GRANULE_BYTES,
      payloadBytes: this.#d[(this.#counters + COUNTER.payloadBytes) >>> 1] ?? 0,
      readLeases: this.#counter(COUNTER.readLeases),
      writeLeases: this.#counter(COUNTER.writeLeases),
    }));
  }

  tick(): void {
    const now = this.#o.clock.nowMs();
    this.#endLeases((deadlineMs) => deadlineMs <= now);
    this.#sweep(now);
    this.#evictToLowWatermark();
  }

  #evictToLowWatermark(): void {
    const high = this.#granules * this.#o.highWatermark;
    const low = this.#granules * this.#o.lowWatermark;
    const used = () => this.#granules - this.#allocator.freeGranules;
    const triggered = this.#locked(used) >= high;
    let evicted = 0;
    let bytes = 0;
    let more = triggered;
    while (more) {
      this.#lock.acquire();
      try {
        for (let i = 0; i < EVICT_BATCH && more; i++) {
          more = used() > low && this.#lifecycle.evict("watermark") !== NONE;
        }
      } finally {
        this.#lock.release();
      }
      for (const removal of this.#lifecycle.removals) {
        evicted++;
        bytes += removal.sizeBytes;
      }
      this.#tell();
    }
    this.#o.publish("l1.eviction.tick", { triggered: triggered ? "true" : "false", keys: evicted, bytes });
  }

  /** Takes expired objects out, some of the entries each time. */
  #sweep(now: number): void {
    for (let looked = 0; looked < SWEEP_ENTRIES; looked += PASS_ENTRIES) {
      this.#locked(() => {
        const top = this.#entries.top;
        let hand = this.#counter(COUNTER.sweepHand);
        for (let i = 0; i < Math.min(PASS_ENTRIES, top); i++) {
          hand = hand + 1 >= top ? 0 : hand + 1;
          const isResident = this.#entries.get(hand, FIELD.state) === STATE.resident;
          if (isResident && this.#lifecycle.isDue(hand, now)) this.#lifecycle.remove(hand, "expired");
        }
        this.#w[this.#counters + COUNTER.sweepHand] = hand;
      });
    }
  }

  #endLeases(which: (deadlineMs: number, holder: number) => boolean): void {
    const ended = this.#locked(() => this.#lifecycle.endLeases(which));
    if (ended.read > 0) this.#o.publish("l1.lease.expired", { kind: "read", keys: ended.read });
    if (ended.write > 0) this.#o.publish("l1.lease.expired", { kind: "write", keys: ended.write });
  }

  #stage(
    request: WriteRequest,
    by: { readonly tag: string; readonly tagBytes: Uint8Array },
    now: number,
  ): number | WriteRefusal {
    if (request.sizeBytes > this.admissionLimitBytes) return "too_large";
    this.#key.set(request.key);
    const other = this.#entries.findStaging(this.#key, by.tag);
    if (other !== NONE) {
      if (!this.#leases.isOverdue(this.#entries.get(other, FIELD.writer), now)) return "staging";
      this.#lifecycle.abort(other);
    }
    const { loading } = request;
    const head = { contentType: encoder.encode(request.contentType), sha256: request.sha256, tag: by.tagBytes };
    const flags = (loading === undefined ? 0 : FLAG.loading) | (request.temporary === true ? FLAG.temporary : 0);
    const entry = this.#lifecycle.stage(this.#key, head, { sizeBytes: request.sizeBytes, flags });
    if (entry === NONE) return "no_room";
    const lease = this.#leases.give(LEASE.write, entry, 1, now + this.#o.writeLeaseMs);
    if (lease === undefined) {
      this.#lifecycle.discard(entry);
      return "no_room";
    }
    this.#entries.set(entry, FIELD.writer, lease.slot);
    this.#entries.setDouble(entry, FIELD.sizeBytes, request.sizeBytes);
    if (loading !== undefined) this.#entries.setMeta(entry, loading);
    return entry;
  }

  #stagingOf(entry: number, sizeBytes: number): Staging {
    return {
      lease: this.#leases.tokenOf(this.#entries.get(entry, FIELD.writer)),
      extents: this.#entries.viewsOf(entry, sizeBytes),
    };
  }

  /** All or nothing: what the batch had taken is given back, and every key that needed memory is refused. */
  #refuseBatch(made: readonly (number | WriteRefusal)[], length: number): WriteRefusal[] {
    const refusals = made.map((entry) => {
      if (typeof entry !== "number") return entry;
      this.#lifecycle.abort(entry);
      return "no_room";
    });
    while (refusals.length < length) refusals.push("no_room");
    return refusals;
  }

  /** Ends one staging; leaves its key in #key. */
  #commit(
    commit: WriteCommit,
    onResident: "replace" | "keep",
    at: { readonly nowMs: number; readonly event: "l1.write.finished" | "l1.write_finished_and_read_reserved" },
  ): WriteOutcome {
    const entry = this.#leases.entryOf(commit.lease, LEASE.write, at.nowMs);
    if (entry === NONE) return "stale";
    this.#entries.loadKey(entry, this.#key);
    const tenant = this.#entries.tenantOf(entry);
    const outcome = this.#lifecycle.admit(entry, this.#key, { ...commit, onResident, nowMs: at.nowMs });
    if (outcome === "admitted") this.#tally.add(at.event, tenant, commit.sizeBytes);
    return outcome;
  }

  /** Head of a batch last, so that its tail is the first to be evicted. */
  #backwards<T>(items: readonly T[], each: (item: T, index: number) => void): void {
    for (let i = items.length - 1; i >= 0; i--) {
      const item = items[i];
      if (item !== undefined) each(item, i);
    }
  }

  /** The resident entry of #key that has not expired, or -1; an expired one is removed. */
  #findLive(now: number): number {
    const entry = this.#entries.findResident(this.#key);
    if (entry === NONE || !this.#lifecycle.isDue(entry, now)) return entry;
    this.#lifecycle.remove(entry, "expired");
    return NONE;
  }

  #pin(entry: number, count: number, now: number): Resident {
    const lease = this.#leases.give(LEASE.read, entry, count, now + this.#o.readLeaseMs);
    if (lease === undefined) throw new VitrineError("no_room", "reserve a read: all leases are taken");
    this.#entries.set(entry, FIELD.pins, this.#entries.get(entry, FIELD.pins) + count);
    const meta = this.#entries.metaOf(entry);
    return { lease, meta, extents: this.#entries.viewsOf(entry, meta.sizeBytes) };
  }

  #filledBytes(lease: Lease, entry: number): number {
    if (this.#loadState(lease, entry) === "done") return this.#entries.getDouble(entry, FIELD.sizeBytes);
    return this.#entries.getDouble(entry, FIELD.filledBytes);
  }

  #loadState(lease: Lease, entry: number): "loading" | "done" | "failed" {
    if (this.#leases.entryOf(lease, LEASE.read, this.#o.clock.nowMs()) !== entry) return "failed";
    if (this.#entries.hasFlag(entry, FLAG.complete)) return "done";
    return this.#entries.get(entry, FIELD.state) === STATE.staging ? "loading" : "failed";
  }

  /** Looks at every entry that is in use, some in each locked section: what changes meanwhile may be seen or not. */
  #pass(each: (entry: number, state: number) => void): void {
    for (let from = 0; from < this.#entries.top; from += PASS_ENTRIES) {
      this.#locked(() => {
        const to = Math.min(from + PASS_ENTRIES, this.#entries.top);
        for (let entry = from; entry < to; entry++) {
          const state = this.#entries.get(entry, FIELD.state);
          if (state !== STATE.free) each(entry, state);
        }
      });
    }
  }

  #locked<T>(section: () => T): T {
    this.#lock.acquire();
    let result: T;
    try {
      result = section();
    } finally {
      this.#lock.release();
    }
    if (this.#lifecycle.removals.length > 0) this.#publishRemovals();
    return result;
  }

  #tell(): void {
    if (this.#lifecycle.removals.length > 0) this.#publishRemovals();
    this.#tally.publish();
  }

  #publishRemovals(): void {
    for (const { tenant, reason, sizeBytes } of this.#lifecycle.removals.splice(0)) {
      this.#o.publish("l1.removed", { tenant, reason, keys: 1, bytes: sizeBytes });
    }
  }

  #tallyEntry(event: "l1.read.reserved" | "l1.read.finished" | "l1.write.aborted", entry: number, keys: number): void {
    this.#tally.add(event, this.#entries.tenantOf(entry), this.#entries.getDouble(entry, FIELD.sizeBytes), keys);
  }

  #counter(name: number): number {
    return this.#w[this.#counters + name] ?? 0;
  }
}
