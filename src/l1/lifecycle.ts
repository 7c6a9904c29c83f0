import type { Clock } from "../core/clock.ts";
import { MAX_KEPT_HEADER_BYTES } from "../core/object.ts";
import { type EntryHead, FIELD, FLAG, STATE } from "./arena/entry.ts";
import { KeyBytes } from "./arena/key_bytes.ts";
import { COUNTER, GRANULE_BYTES } from "./arena/layout.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { L1Options, Tables } from "./tables.ts";
import type { PendingEvents } from "./pending_events.ts";
import type { Claimant, Quotas } from "./quotas.ts";
import type { Known, L1RemovalListener, RemovalReason, WriteCommit, WriteOutcome } from "./l1.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";

const NONE = -1;

/**
 * There is no room yet. Before more is evicted, the caller leaves the critical section, so that evictions are published
 * and other threads get the lock.
 */
export const AGAIN = -2;

/** Objects that one critical section evicts to make room. */
const EVICT_BATCH = 128;

/** Maximum bytes in front of an object: tenant, key, Content-Type, digest, kept headers and tag. */
const MAX_HEAD_BYTES = 128 + 1024 + 255 + 44 + MAX_KEPT_HEADER_BYTES + 255;

const encoder = new TextEncoder();

/** Memory to be staged. */
export interface StageOptions {
  readonly granules: number;
  readonly spareGranules: number;
  readonly flags: number;
  /** The account of the tenant's quota; 0: it has none. */
  readonly account: number;
}

/** Options of an admission. */
export interface AdmitOptions extends Omit<WriteCommit, "lease"> {
  readonly onResident: "replace" | "keep";
  readonly monotonicMs: number;
  /** True if no tier has the object yet (default false). */
  readonly isDirty?: boolean;
}

/**
 * The life cycle of an object: staged, admitted, detached, freed. Every step leaves tables, index and policy consistent
 * and adds the events of removals. Not locked: the caller holds the arena's lock.
 */
export class Lifecycle {
  readonly #tables: Tables;
  readonly #quotas: Quotas;
  readonly #events: PendingEvents;
  readonly #clock: Clock;
  readonly #mayLeave: (entry: number) => boolean;
  readonly #maxStagingGranules: number;
  readonly #watermarkGranules: number;
  readonly #onRemoved: L1RemovalListener | undefined;
  /** The key of an object that is leaving; `Parts.key` belongs to the caller. */
  readonly #leaving = new KeyBytes(0);

  constructor(
    { tables, quotas }: { readonly tables: Tables; readonly quotas: Quotas },
    events: PendingEvents,
    options: Pick<L1Options, "clock" | "onRemoved" | "admissionLimitBytes" | "highWatermark">,
  ) {
    this.#tables = tables;
    this.#quotas = quotas;
    this.#events = events;
    this.#clock = options.clock;
    this.#onRemoved = options.onRemoved;
    const { entries, arena: { layout: { granules } } } = tables;
    const largest = Math.ceil((options.admissionLimitBytes + MAX_HEAD_BYTES) / GRANULE_BYTES);
    this.#maxStagingGranules = Math.min(granules, Math.max(Math.floor(granules / 2), largest));
    this.#watermarkGranules = Math.floor(granules * options.highWatermark);
    this.#mayLeave = (entry) => entries.get(entry, FIELD.pins) === 0 && !entries.hasFlag(entry, FLAG.dirty);
  }

  /** Makes room by eviction and stages an object. Returns the entry, -1 if there is no room, or AGAIN. */
  stage(
    key: KeyBytes,
    head: EntryHead,
    { account, flags, ...memory }: StageOptions,
  ): number {
    const { entries, allocator, counters, quotas } = this.#tables;
    const extents = this.#allocate(account, memory.granules, memory.spareGranules);
    if (extents < 0) return extents;
    const granules = allocator.chainLength(extents);
    while (!entries.hasFreeRow) {
      if (this.evict("pressure", { account, granules, isForced: account !== 0 }) === NONE) {
        allocator.release(extents);
        return NONE;
      }
    }
    counters.add(COUNTER.stagingGranules, granules);
    const entry = entries.create(key, head, { extents, granules, flags, account });
    quotas.add(account, granules);
    return entry;
  }

  /**
   * Grows a staging to `sizeBytes` in total, plus `spareBytes` if they are free. Returns the entry, -1 if there is no
   * room, or AGAIN.
   */
  extend(entry: number, sizeBytes: number, spareBytes: number): number {
    const { entries, allocator, counters } = this.#tables;
    const granules = entries.get(entry, FIELD.granules);
    const bytes = entries.headBytesOf(entry) + sizeBytes;
    const more = Math.ceil(bytes / GRANULE_BYTES) - granules;
    if (more <= 0) return entry;
    const account = entries.accountOf(entry);
    const spare = Math.ceil((bytes + spareBytes) / GRANULE_BYTES) - granules - more;
    const extents = this.#allocate(account, more, spare);
    if (extents < 0) return extents;
    const added = allocator.chainLength(extents);
    allocator.append(entries.get(entry, FIELD.extents), extents);
    entries.set(entry, FIELD.granules, granules + added);
    counters.add(COUNTER.stagingGranules, added);
    this.#tables.quotas.add(account, added);
    return entry;
  }

  /**
   * Ends a staging: the object becomes resident or is dropped. `key` is the entry's; the size is within its capacity.
   */
  admit(entry: number, key: KeyBytes, commit: AdmitOptions): WriteOutcome {
    const { entries, policy, admissions, dirty, leases, counters } = this.#tables;
    entries.setFlag(entry, FLAG.complete);
    if (!entries.hasFlag(entry, FLAG.linked)) return this.#abortAs(entry, "superseded");
    const resident = this.findLive(key);
    if (resident !== NONE && commit.onResident === "keep") return this.#abortAs(entry, "duplicate");
    counters.add(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    this.#trim(entry, commit.sizeBytes);
    entries.setMeta(entry, commit);
    if (commit.headers !== undefined) entries.headersOf(entry).set(encoder.encode(commit.headers));
    admissions.note(entry, commit.monotonicMs);
    if (commit.isDirty === true) entries.setFlag(entry, FLAG.dirty);
    entries.setState(entry, STATE.resident);
    // The admission counts from here on: until its write lease ends, a repair finishes the remaining steps.
    if (resident !== NONE) this.remove(resident, "replaced");
    else this.#removeOther(entry, key, "expired");
    if (commit.onResident === "replace") this.supersedeLoads(key);
    policy.admitted(entry);
    admissions.add(entry);
    if (commit.isDirty === true) dirty.add(entry);
    counters.add(COUNTER.residents, 1);
    counters.payloadBytes += commit.sizeBytes;
    leases.end(entries.get(entry, FIELD.writer));
    const action = entries.hasFlag(entry, FLAG.loading) ? "loaded" : "written";
    this.#events.sample(entries.get(entry, FIELD.hash), entries.tenantOf(entry), action);
    return "admitted";
  }

  /**
   * Finishes the admission of an entry that was already resident when its writer was interrupted. `key` is the entry's.
   */
  finishAdmission(entry: number, key: KeyBytes): void {
    const { entries, leases } = this.#tables;
    this.#removeOther(entry, key, "replaced");
    this.supersedeLoads(key);
    leases.end(entries.get(entry, FIELD.writer));
  }

  /** Ends a staging without admission. */
  abort(entry: number): void {
    this.#tables.leases.end(this.#tables.entries.get(entry, FIELD.writer));
    this.discard(entry);
  }

  /** Drops a staging that has no lease. */
  discard(entry: number): void {
    const { entries, counters } = this.#tables;
    counters.add(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    entries.unlink(entry);
    entries.setState(entry, STATE.detached);
    this.#freeIfUnused(entry);
  }

  /** Hides a resident object. Its memory is freed once it has no read leases. */
  remove(entry: number, reason: RemovalReason, evicted: boolean = false): void {
    const { entries, policy, admissions, dirty, counters } = this.#tables;
    const sizeBytes = entries.getDouble(entry, FIELD.sizeBytes);
    const tenant = entries.tenantOf(entry);
    this.#events.removed(tenant, reason, sizeBytes);
    this.#events.sample(entries.get(entry, FIELD.hash), tenant, "removed", reason);
    if (this.#onRemoved !== undefined) {
      entries.loadKey(entry, this.#leaving);
      this.#onRemoved(this.#leaving, reason);
    }
    entries.unlink(entry);
    policy.removed(entry, evicted);
    admissions.remove(entry);
    if (entries.hasFlag(entry, FLAG.dirty)) dirty.leave(entry);
    entries.setState(entry, STATE.detached);
    counters.add(COUNTER.residents, -1);
    counters.payloadBytes -= sizeBytes;
    this.#freeIfUnused(entry);
  }

  /** Gives back read leases. */
  unpin(entry: number, count: number): void {
    const { entries } = this.#tables;
    const pins = entries.get(entry, FIELD.pins) - count;
    const isLast = pins === 0 && entries.get(entry, FIELD.state) === STATE.resident;
    // Runs before the pins are written: by pins without leases, a repair recognises a temporary object that was
    // leaving.
    const mayLeave = entries.hasFlag(entry, FLAG.temporary) && !entries.hasFlag(entry, FLAG.dirty);
    if (isLast && mayLeave) this.remove(entry, "temporary");
    entries.set(entry, FIELD.pins, pins);
    this.#freeIfUnused(entry);
  }

  /** Running loads of the key can no longer be found or admitted. */
  supersedeLoads(key: KeyBytes): void {
    const { entries } = this.#tables;
    for (const entry of entries.findStagings(key)) if (entries.hasFlag(entry, FLAG.loading)) entries.unlink(entry);
  }

  /** Evicts one object and returns its size in bytes; -1 if no object may leave. */
  evict(reason: RemovalReason, claimant: Claimant): number {
    const victim = this.#quotas.victim(claimant, this.#mayLeave);
    if (victim === undefined) return NONE;
    const sizeBytes = this.#tables.entries.getDouble(victim.entry, FIELD.sizeBytes);
    this.remove(victim.entry, victim.isOver ? "quota" : reason, true);
    return sizeBytes;
  }

  /**
   * Evicts the tenant's own objects until so many more granules keep within its quota, if that is strict. Returns 0, -1
   * if it has nothing left that may leave, or AGAIN.
   */
  keepWithin(account: number, granules: number): number {
    for (let evicted = 0; this.#quotas.refuses(account, granules); evicted++) {
      if (evicted === EVICT_BATCH) return AGAIN;
      const entry = this.#quotas.victimOf(account, this.#mayLeave);
      if (entry === NONE) return NONE;
      this.remove(entry, "quota", true);
    }
    return 0;
  }

  /** The unexpired resident of a key, or -1. An expired one is removed unless it is dirty. */
  findLive(key: KeyBytes): number {
    const { entries } = this.#tables;
    const resident = entries.findResident(key);
    if (resident === NONE || !this.isDue(resident)) return resident;
    if (!entries.hasFlag(resident, FLAG.dirty)) this.remove(resident, "expired");
    return NONE;
  }

  /** L1's knowledge of a key. An expired object is removed unless it is dirty. */
  know(key: KeyBytes): Known | undefined {
    const { entries } = this.#tables;
    const resident = entries.findResident(key);
    if (resident === NONE) return undefined;
    const isDirty = entries.hasFlag(resident, FLAG.dirty);
    if (!this.isDue(resident)) return { meta: entries.metaOf(resident), isDirty };
    if (isDirty) return { meta: undefined, isDirty };
    this.remove(resident, "expired");
    return undefined;
  }

  /** Removes an expired object that findLive keeps because it is dirty. */
  removeExpired(key: KeyBytes): void {
    const resident = this.#tables.entries.findResident(key);
    if (resident !== NONE) this.remove(resident, "expired");
  }

  /** True if a resident has expired. Reads the wall clock only for objects that have a time to live. */
  isDue(entry: number): boolean {
    const expiresMs = this.#tables.entries.getDouble(entry, FIELD.expiresMs);
    return expiresMs !== 0 && expiresMs <= this.#clock.nowMs();
  }

  /**
   * Gives back the objects that a worker had taken for storing. They wait again unless replaced or removed meanwhile.
   */
  giveDirtyBack(workerId: number): void {
    const { leases, entries, dirty } = this.#tables;
    for (const { slot, entry } of leases.live((deadlineMs, of) => of === workerId && deadlineMs === Infinity)) {
      const isOwed = entries.get(entry, FIELD.state) === STATE.resident && entries.hasFlag(entry, FLAG.dirty);
      if (isOwed) dirty.giveBack(entry);
      else dirty.remove(entry);
      leases.end(slot);
      this.#events.expired("read", 1);
      this.unpin(entry, 1);
    }
  }

  /** Ends the hit of a dead thread. */
  endHit(workerId: number): void {
    const entry = this.#tables.hits.release(workerId);
    if (entry !== NONE) this.unpin(entry, 1);
  }

  /** Ends the hits of threads that may still run but were given up long enough ago. */
  expireHits(monotonicMs: number): void {
    for (const entry of this.#tables.hits.expire(monotonicMs)) this.unpin(entry, 1);
  }

  /** Expires the leases that satisfy `which`, except those without a deadline, whose objects are being stored. */
  expireLeases(which: (deadlineMs: number, workerId: number) => boolean): void {
    let readLeases = 0;
    for (const lease of this.#tables.leases.live(which)) {
      if (this.#tables.leases.isEndless(lease.slot)) continue;
      if (lease.kind === LEASE.write) this.expireWrite(lease.entry);
      else if (lease.kind === LEASE.hold) this.endHold(lease, "l1.hold.expired");
      else {
        readLeases += lease.count;
        this.#tables.leases.end(lease.slot);
        this.unpin(lease.entry, lease.count);
      }
    }
    if (readLeases > 0) this.#events.expired("read", readLeases);
  }

  /** Ends a client's hold. */
  endHold(
    { slot, entry }: { readonly slot: number; readonly entry: number },
    event: "l1.hold.released" | "l1.hold.expired",
  ): void {
    const { entries, leases } = this.#tables;
    this.#events.add(event, entries.tenantOf(entry), entries.getDouble(entry, FIELD.sizeBytes));
    leases.end(slot);
    this.unpin(entry, 1);
  }

  /** Lets the leases that satisfy `which` expire at `untilMs` at the latest, and hides their stagings. */
  disown(which: (deadlineMs: number, workerId: number) => boolean, untilMs: number): void {
    const { leases, entries } = this.#tables;
    for (const { slot, kind, entry, deadlineMs } of leases.live(which)) {
      if (leases.isEndless(slot)) continue;
      if (kind === LEASE.write) {
        entries.unlink(entry);
        entries.setFlag(entry, FLAG.orphaned);
      }
      leases.setDeadline(slot, Math.min(deadlineMs, untilMs));
    }
  }

  /** Ends a staging whose write lease has expired. */
  expireWrite(entry: number): void {
    this.#events.expired("write", 1);
    this.abort(entry);
  }

  /**
   * Granules that stagings may still take. Their total is half of the arena, or the largest admissible object if that
   * is larger.
   */
  get stageableGranules(): number {
    return Math.max(0, this.#maxStagingGranules - this.#tables.counters.get(COUNTER.stagingGranules));
  }

  #allocate(account: number, granules: number, spareGranules: number): number {
    const { arena: { layout }, allocator } = this.#tables;
    // A request that can never fit must not empty the cache first.
    if (granules > this.stageableGranules) return NONE;
    const all = granules + spareGranules;
    // Bytes that may never arrive must not cause an eviction, now or through the watermark.
    const isFree = all <= this.stageableGranules &&
      layout.granules - allocator.freeGranules + all <= this.#watermarkGranules && this.#quotas.hasRoom(account, all);
    if (spareGranules > 0 && isFree) {
      const extents = allocator.allocate(all);
      if (extents !== NONE) return extents;
    }
    for (let evicted = 0;; evicted++) {
      const extents = allocator.allocate(granules);
      if (extents !== NONE) return extents;
      if (evicted === EVICT_BATCH) return AGAIN;
      if (this.evict("pressure", { account, granules, isForced: false }) === NONE) return NONE;
    }
  }

  /** Frees memory that the object does not need, unless a follower has views of it. */
  #trim(entry: number, sizeBytes: number): void {
    const { entries, allocator, quotas } = this.#tables;
    const granules = Math.max(1, Math.ceil((entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES));
    if (granules >= entries.get(entry, FIELD.granules) || entries.get(entry, FIELD.pins) > 0) return;
    const extents = entries.get(entry, FIELD.extents);
    allocator.shrink(extents, granules);
    const left = allocator.chainLength(extents);
    quotas.add(entries.accountOf(entry), left - entries.get(entry, FIELD.granules));
    entries.set(entry, FIELD.granules, left);
  }

  /** Removes the resident that `entry` replaces, if any. */
  #removeOther(entry: number, key: KeyBytes, reason: RemovalReason): void {
    const other = this.#tables.entries.findOtherResident(key, entry);
    if (other !== NONE) this.remove(other, reason);
  }

  #abortAs(entry: number, outcome: WriteOutcome): WriteOutcome {
    this.abort(entry);
    return outcome;
  }

  #freeIfUnused(entry: number): void {
    const { entries, hits, quotas } = this.#tables;
    if (entries.get(entry, FIELD.state) !== STATE.detached || entries.get(entry, FIELD.pins) !== 0) return;
    // Threads that are about to read it, without the lock, either are seen here, or see that it is detached.
    const pins = hits.pin(entry);
    if (pins !== 0) {
      entries.set(entry, FIELD.pins, pins);
      return;
    }
    quotas.add(entries.accountOf(entry), -entries.get(entry, FIELD.granules));
    entries.free(entry);
  }
}

/** Objects that the operations of one thread's L1 share. */
export interface Parts {
  readonly tables: Tables;
  readonly lifecycle: Lifecycle;
  readonly quotas: Quotas;
  /** Events collected under the lock, to be published after it. */
  readonly events: PendingEvents;
  /** The current key; every operation sets it again. */
  readonly key: KeyBytes;
  readonly options: L1Options;
  /** Never throws. Call it only without the lock. */
  readonly publish: Publish<EventMap>;
}
