import type { ObjectKey, ObjectMeta } from "../core/object.ts";
import { Arena, type ArenaMemory } from "./arena/arena.ts";
import { KeyBytes } from "./arena/key_bytes.ts";
import { COUNTER, GRANULE_BYTES } from "./arena/layout.ts";
import { LEASE } from "./arena/lease_table.ts";
import { Hits } from "./hits.ts";
import { Holds } from "./holds.ts";
import { Lifecycle, type Parts } from "./lifecycle.ts";
import { type Locked, lockedSections, SharedLock } from "./lock.ts";
import { type L1Options, openTables } from "./tables.ts";
import { Passes } from "./passes.ts";
import { PendingEvents, quietPublish } from "./pending_events.ts";
import { Reads } from "./reads.ts";
import { repair, takeOver } from "./recovery.ts";
import type {
  AdmitConditions,
  Decide,
  DirtyObject,
  DirtyUsage,
  Following,
  Holder,
  HoldOutcome,
  KeyRange,
  Known,
  L1,
  L1Usage,
  Lease,
  Quota,
  RecentKeys,
  RemovalReason,
  Resident,
  Staging,
  TenantQuota,
  UseHit,
  WholeObject,
  WriteCommit,
  WriteOutcome,
  WriteRefusal,
  WriteRequest,
} from "./l1.ts";
import { Maintenance } from "./maintenance.ts";
import { Quotas } from "./quotas.ts";
import { planWrites, Writes } from "./writes.ts";

const NONE = -1;

const encoder = new TextEncoder();

/** Lease rows that a release looks at in one critical section. */
const RELEASE_ROWS = 4096;

/**
 * L1 over an arena, for one thread. Operations are critical sections under the arena's lock; their events are published
 * after it.
 */
export class L1Manager implements L1 {
  readonly admissionLimitBytes: number;
  readonly #parts: Parts;
  readonly #lock: SharedLock;
  readonly #locked: Locked;
  readonly #hits: Hits;
  readonly #holds: Holds;
  readonly #reads: Reads;
  readonly #writes: Writes;
  readonly #maintenance: Maintenance;
  readonly #passes: Passes;

  /** `arena`: this thread's views (default: plain ones). */
  constructor(memory: ArenaMemory, options: L1Options, arena: Arena = new Arena(memory)) {
    const tables = openTables(arena, options);
    const publish = quietPublish(options.publish);
    const events = new PendingEvents(publish, () => options.clock.monotonicMs());
    const quotas = new Quotas(tables);
    const lifecycle = new Lifecycle({ tables, quotas }, events, options);
    this.admissionLimitBytes = options.admissionLimitBytes;
    const key = new KeyBytes(arena.layout.hashSeed);
    this.#parts = { tables, lifecycle, quotas, events, key, options, publish };
    this.#lock = new SharedLock(new Int32Array(memory.control), arena.layout.at, options.workerId);
    this.#locked = lockedSections(this.#lock, events, () => this.#mend());
    this.#hits = new Hits(this.#parts, { lock: this.#lock, locked: this.#locked });
    this.#holds = new Holds(this.#parts);
    this.#reads = new Reads(this.#parts);
    this.#writes = new Writes(this.#parts);
    this.#maintenance = new Maintenance(this.#parts, this.#locked);
    this.#passes = new Passes(this.#parts, this.#locked);
  }

  reserveWrite(requests: readonly WriteRequest[], tag: string): readonly (Staging | WriteRefusal)[] {
    const now = this.#monotonicMs();
    const plans = planWrites(requests, tag, this.#parts.key);
    for (;;) {
      const reserved = this.#locked(() => this.#writes.reserve(plans, now));
      if (reserved !== "again") return reserved;
    }
  }

  extend(
    lease: Lease,
    sizeBytes: number,
    spareBytes: number = 0,
  ): readonly Uint8Array[] | "no_room" | "too_large" | "over_quota" | "stale" {
    const monotonicMs = this.#monotonicMs();
    for (;;) {
      const extended = this.#locked(() => this.#writes.extend(lease, { sizeBytes, spareBytes, monotonicMs }));
      if (extended !== "again") return extended;
    }
  }

  mayStage(bytes: number): boolean {
    return bytes <= this.#parts.lifecycle.stageableGranules * GRANULE_BYTES;
  }

  filled(lease: Lease, filledBytes: number): void {
    const now = this.#monotonicMs();
    this.#locked(() => this.#writes.filled(lease, filledBytes, now));
  }

  finishWrite(commits: readonly WriteCommit[], onResident: "replace" | "keep"): readonly WriteOutcome[] {
    const monotonicMs = this.#monotonicMs();
    const outcomes: WriteOutcome[] = commits.map(() => "stale");
    this.#locked(() =>
      this.#writes.finish(commits, { onResident, monotonicMs, event: "l1.write.finished" }, (outcome, i) => {
        outcomes[i] = outcome;
      })
    );
    return outcomes;
  }

  finishWriteAndReserveRead(
    commits: readonly WriteCommit[],
    onResident: "replace" | "keep",
    count: number = 1,
  ): readonly (Resident | undefined)[] {
    const monotonicMs = this.#monotonicMs();
    const event = "l1.write_finished_and_read_reserved";
    const results: (Resident | undefined)[] = commits.map(() => undefined);
    checkCount(count);
    this.#locked(() =>
      this.#writes.finish(commits, { onResident, monotonicMs, event }, (outcome, i) => {
        const { lifecycle, key, tables } = this.#parts;
        const entry = outcome === "stale" ? NONE : lifecycle.findLive(key);
        if (entry === NONE) return;
        // The admission's event already reports the first lease.
        const reported = outcome === "admitted" ? count - 1 : count;
        results[i] = this.#reads.pin(entry, count, { monotonicMs, tenant: tables.entries.tenantOf(entry), reported });
      })
    );
    return results;
  }

  admit(commit: WriteCommit, conditions: AdmitConditions): "admitted" | "full" | "stale" | "unwanted" {
    const now = this.#monotonicMs();
    return this.#locked(() => this.#writes.admit(commit, conditions, now));
  }

  write(object: WholeObject, conditions: AdmitConditions): ReturnType<L1["write"]> {
    const now = this.#monotonicMs();
    for (;;) {
      const plan = this.#writes.plan(object);
      const written = this.#locked(() => this.#writes.write(plan, conditions, now));
      if (written !== "again") return written;
    }
  }

  staging(lease: Lease): readonly Uint8Array[] | undefined {
    const now = this.#monotonicMs();
    return this.#locked(() => this.#writes.viewsOf(lease, now));
  }

  takeDirty(most: number): readonly DirtyObject[] {
    return this.#locked(() => this.#reads.takeDirty(most));
  }

  dirty(): { readonly objects: number; readonly bytes: number } {
    return this.#passes.dirty();
  }

  dirtyUsage(): DirtyUsage {
    return this.#parts.tables.dirty.usage();
  }

  abort(leases: readonly Lease[]): void {
    const now = this.#monotonicMs();
    this.#locked(() => this.#writes.abort(leases, now));
  }

  hit<T>(key: ObjectKey, maxBytes: number, use: UseHit<T>, maxAgeMs: number = Infinity): T | undefined {
    return this.#hits.hit(key, maxBytes, use, maxAgeMs);
  }

  cleanAgeMs(key: ObjectKey): number | undefined {
    const now = this.#monotonicMs();
    this.#parts.key.set(key);
    return this.#locked(() => this.#reads.cleanAgeMs(now));
  }

  confirm(key: ObjectKey, version: number, monotonicMs: number): boolean {
    this.#parts.key.set(key);
    return this.#locked(() => this.#reads.confirm(version, monotonicMs));
  }

  reserveRead(keys: readonly ObjectKey[], count: number = 1): readonly (Resident | undefined)[] {
    const now = this.#monotonicMs();
    checkCount(count);
    this.#checkKeys(keys);
    return this.#locked(() => this.#reads.reserve(keys, count, now));
  }

  follow(key: ObjectKey, tag: string): Following | undefined {
    const now = this.#monotonicMs();
    this.#parts.key.set(key);
    const resident = this.#locked(() => {
      const entry = this.#reads.findLoad(tag, now);
      return entry === NONE ? undefined : this.#reads.pin(entry, 1, { monotonicMs: now, tenant: key.tenant });
    });
    if (resident === undefined) return undefined;
    const progress = () => {
      const monotonicMs = this.#monotonicMs();
      return this.#locked(() => this.#reads.progressOf(resident.lease, monotonicMs));
    };
    return { ...resident, filledBytes: () => progress().filledBytes, state: () => progress().state };
  }

  finishRead(leases: readonly Lease[], count: number = 1): readonly boolean[] {
    checkCount(count);
    return this.#locked(() => this.#reads.finish(leases, count));
  }

  hold(
    keys: readonly ObjectKey[],
    lease: { readonly holder: Holder; readonly untilMs: number },
  ): readonly HoldOutcome[] {
    this.#checkKeys(keys);
    return this.#locked(() => this.#holds.take(keys, lease));
  }

  release(holder: Holder, tenant: string): number {
    let released = 0;
    const { leases } = this.#parts.tables;
    for (let start = 0; start < leases.top; start += RELEASE_ROWS) {
      released += this.#locked(() => this.#holds.release(holder, { tenant, start, end: start + RELEASE_ROWS }));
    }
    return released;
  }

  renew(lease: Lease): boolean {
    const now = this.#monotonicMs();
    const { tables: { leases }, options } = this.#parts;
    return this.#locked(() => {
      const isWrite = leases.entryOf(lease, LEASE.write, now) !== NONE;
      if (!isWrite && leases.entryOf(lease, LEASE.read, now) === NONE) return false;
      if (leases.isEndless(lease.slot)) return true;
      leases.setDeadline(lease.slot, now + (isWrite ? options.writeLeaseMs : options.readLeaseMs));
      return true;
    });
  }

  isCurrent(lease: Lease): boolean {
    const now = this.#monotonicMs();
    return this.#locked(() => this.#reads.isCurrent(lease, now));
  }

  peek(key: ObjectKey): ObjectMeta | undefined {
    this.#parts.key.set(key);
    return this.#locked(() => {
      const entry = this.#parts.lifecycle.findLive(this.#parts.key);
      return entry === NONE ? undefined : this.#parts.tables.entries.metaOf(entry);
    });
  }

  has(keys: readonly ObjectKey[]): readonly boolean[] {
    const { lifecycle, key } = this.#parts;
    this.#checkKeys(keys);
    return this.#locked(() =>
      keys.map((each) => {
        key.set(each);
        return lifecycle.findLive(key) !== NONE;
      })
    );
  }

  know(key: ObjectKey): Known | undefined {
    this.#parts.key.set(key);
    return this.#locked(() => this.#parts.lifecycle.know(this.#parts.key));
  }

  delete(
    keys: readonly ObjectKey[],
    reason: RemovalReason = "deleted",
    decide: Decide = () => true,
  ): readonly boolean[] {
    const { lifecycle, key } = this.#parts;
    this.#checkKeys(keys);
    return this.#locked(() =>
      keys.map((each) => {
        key.set(each);
        if (!decide(lifecycle.know(key), key)) return false;
        lifecycle.supersedeLoads(key);
        const entry = lifecycle.findLive(key);
        if (entry !== NONE) lifecycle.remove(entry, reason);
        else lifecycle.removeExpired(key);
        return entry !== NONE;
      })
    );
  }

  clear(tenant?: string, which: "all" | "clean" = "all"): Generator<number, void, void> {
    return this.#passes.clear(tenant, which);
  }

  touch(keys: readonly ObjectKey[]): void {
    const { tables: { policy }, lifecycle, key } = this.#parts;
    this.#checkKeys(keys);
    this.#locked(() => {
      for (const each of keys) {
        key.set(each);
        const entry = lifecycle.findLive(key);
        if (entry !== NONE) policy.touched(entry);
      }
    });
  }

  get admissions(): number {
    return this.#parts.tables.admissions.count;
  }

  keys(range: () => KeyRange): Generator<readonly string[], void, void> {
    return this.#passes.keys(range);
  }

  recentKeys(range: KeyRange, admissions: number, most: number): RecentKeys | undefined {
    return this.#passes.recentKeys(range, admissions, most);
  }

  assertAlive(): void {
    this.#lock.assertAlive();
  }

  usage(): L1Usage {
    const { arena: { layout }, counters, allocator, admissions } = this.#parts.tables;
    const oldestMs = admissions.oldestMs();
    // Takes no lock: the main thread calls this, and must not wait for a thread whose death it has yet to notice.
    return {
      objects: counters.get(COUNTER.residents),
      maxObjects: layout.maxObjects,
      usedBytes: (layout.granules - allocator.freeGranules) * GRANULE_BYTES,
      capacityBytes: layout.granules * GRANULE_BYTES,
      stagingBytes: counters.get(COUNTER.stagingGranules) * GRANULE_BYTES,
      payloadBytes: counters.payloadBytes,
      readLeases: counters.get(COUNTER.readLeases),
      writeLeases: counters.get(COUNTER.writeLeases),
      holds: counters.get(COUNTER.holds),
      heldBytes: counters.get(COUNTER.heldGranules) * GRANULE_BYTES,
      oldestAgeSeconds: oldestMs === undefined ? 0 : Math.max(0, this.#monotonicMs() - oldestMs) / 1000,
      repairs: this.repairs,
    };
  }

  setQuota(tenant: string, quota: Quota | undefined): boolean {
    const { quotas } = this.#parts.tables;
    return this.#locked(() => quota === undefined ? quotas.remove(tenant) : quotas.set(tenant, quota));
  }

  *settleQuotas(): Generator<void, void, void> {
    while (this.#locked(() => this.#parts.quotas.settle())) yield;
  }

  quotas(): readonly TenantQuota[] {
    return this.#parts.tables.quotas.all();
  }

  usedBy(tenant: string): Generator<number, void, void> {
    return this.#parts.quotas.count(encoder.encode(tenant), this.#locked);
  }

  tick(): void {
    this.#maintenance.tick(this.#monotonicMs());
  }

  /**
   * For the main thread: ends a worker whose thread is gone, for good. Its interrupted change of the tables is finished
   * or undone, and its leases expire, as events of this thread. `stillRuns` (default false): the runtime abandoned the
   * thread but may not have stopped it, so its memory is kept unchanged for 5 s.
   */
  async takeOver(workerId: number, options: { readonly stillRuns?: boolean } = {}): Promise<void> {
    await takeOver(
      { parts: this.#parts, lock: this.#lock, mend: () => this.#mend() },
      workerId,
      options.stillRuns ?? false,
    );
  }

  /** Number of repairs of the tables after an interrupted critical section, by any thread. */
  get repairs(): number {
    return this.#parts.tables.counters.get(COUNTER.repairs);
  }

  #mend(): void {
    repair(this.#parts);
    this.#parts.tables.counters.add(COUNTER.repairs, 1);
  }

  /** Throws bad_key before a batch begins. */
  #checkKeys(keys: readonly ObjectKey[]): void {
    if (keys.length > 1) { for (const key of keys) this.#parts.key.set(key); }
  }

  #monotonicMs(): number {
    return this.#parts.options.clock.monotonicMs();
  }
}

function checkCount(count: number): void {
  if (!(count >= 1)) throw new RangeError(`count leases from 1 on: ${count}`);
}
