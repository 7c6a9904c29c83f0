import { VitrineError } from "../core/errors.ts";
import { FIELD } from "./arena/entry_table.ts";
import { LEASE } from "./arena/lease_table.ts";
import { AGAIN } from "./lifecycle.ts";
import type { Parts } from "./parts.ts";
import type { Decide, Lease, Staging, WriteCommit, WriteOutcome, WriteRefusal } from "./l1.ts";
import type { WritePlan } from "./write_plan.ts";

const NONE = -1;

/** Options for finishing a batch of writes. */
export interface FinishOptions {
  readonly onResident: "replace" | "keep";
  readonly monotonicMs: number;
  /** The event that reports an admission. */
  readonly event: "l1.write.finished" | "l1.write_finished_and_read_reserved";
  /** True if no tier has the objects yet (default false). */
  readonly isDirty?: boolean;
}

/** The writing side of L1. Not locked: the caller holds the arena's lock. */
export class Writes {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Stages a batch: all requests that need memory get it, or none. "again": room is still being made; call again. */
  reserve(plans: readonly WritePlan[], monotonicMs: number): readonly (Staging | WriteRefusal)[] | "again" {
    const staged = this.#stageAll(plans, monotonicMs);
    if (staged === "again") return staged;
    if (staged === undefined) return plans.map((plan) => this.#refusal(plan, monotonicMs) ?? "no_room");
    return staged.map((entry, i) => {
      if (typeof entry !== "number") return entry;
      const request = plans[i]?.request;
      if (request !== undefined) this.#parts.tally.add("l1.write.reserved", request.key.tenant, request.sizeBytes);
      return this.#stagingOf(entry);
    });
  }

  /** "again": room is still being made; call again. */
  extend(
    lease: Lease,
    { sizeBytes, spareBytes, monotonicMs }: {
      readonly sizeBytes: number;
      readonly spareBytes: number;
      readonly monotonicMs: number;
    },
  ): readonly Uint8Array[] | "no_room" | "too_large" | "stale" | "again" {
    const { tables, lifecycle, options } = this.#parts;
    const entry = tables.leases.entryOf(lease, LEASE.write, monotonicMs);
    if (entry === NONE) return "stale";
    if (sizeBytes > options.admissionLimitBytes) return "too_large";
    const extended = lifecycle.extend(entry, sizeBytes, spareBytes);
    if (extended < 0) return extended === AGAIN ? "again" : "no_room";
    return this.#stagingOf(entry).extents;
  }

  filled(lease: Lease, filledBytes: number, monotonicMs: number): void {
    const { entries, leases } = this.#parts.tables;
    const entry = leases.entryOf(lease, LEASE.write, monotonicMs);
    if (entry !== NONE) entries.setDouble(entry, FIELD.filledBytes, filledBytes);
  }

  /**
   * Ends a batch of stagings, its head last, so that its tail is evicted first. `each` is called with every outcome
   * while the current key is that write's. Throws length_mismatch, before anything has changed, if an object is larger
   * than its reserved memory.
   */
  finish(
    commits: readonly WriteCommit[],
    how: FinishOptions,
    each: (outcome: WriteOutcome, index: number) => void,
  ): void {
    for (const commit of commits) this.#checkSize(commit, how.monotonicMs);
    for (const [index, commit] of [...commits.entries()].toReversed()) each(this.#finishOne(commit, how), index);
  }

  /** Calls `hasRoom` before `decide`. Leaves the entry's key as the current key. */
  admit(
    commit: WriteCommit,
    how: Omit<FinishOptions, "onResident" | "event"> & {
      readonly decide: Decide | undefined;
      readonly hasRoom: () => boolean;
    },
  ): "admitted" | "full" | "stale" | "unwanted" {
    const { tables: { entries, leases }, lifecycle, key } = this.#parts;
    const entry = leases.entryOf(commit.lease, LEASE.write, how.monotonicMs);
    if (entry === NONE) return "stale";
    if (!how.hasRoom()) return "full";
    entries.loadKey(entry, key);
    if (how.decide?.(lifecycle.know(key)) === false) return "unwanted";
    this.#checkSize(commit, how.monotonicMs);
    const outcome = this.#finishOne(commit, { ...how, onResident: "replace", event: "l1.write.finished" });
    return outcome === "admitted" ? outcome : "stale";
  }

  /** Views of a staging's memory; undefined if the lease is stale. */
  viewsOf(lease: Lease, monotonicMs: number): readonly Uint8Array[] | undefined {
    const entry = this.#parts.tables.leases.entryOf(lease, LEASE.write, monotonicMs);
    return entry === NONE ? undefined : this.#stagingOf(entry).extents;
  }

  abort(leases: readonly Lease[], monotonicMs: number): void {
    const { tables, lifecycle } = this.#parts;
    for (const lease of leases) {
      const entry = tables.leases.entryOf(lease, LEASE.write, monotonicMs);
      if (entry === NONE) continue;
      this.#tallyAborted(entry);
      lifecycle.abort(entry);
    }
  }

  /** Entries or refusals. Undefined, with nothing staged, if there is no room for all. */
  #stageAll(plans: readonly WritePlan[], monotonicMs: number): (number | WriteRefusal)[] | "again" | undefined {
    const needed = plans.filter((plan) => this.#refusal(plan, monotonicMs) === undefined);
    const granules = needed.reduce((sum, plan) => sum + plan.granules, 0);
    // A batch that can never fit must not empty the cache first.
    if (granules > this.#parts.lifecycle.stageableGranules) return undefined;
    const staged: (number | WriteRefusal)[] = [];
    for (const plan of plans) {
      const entry = this.#refusal(plan, monotonicMs) ?? this.#stage(plan, monotonicMs);
      if (typeof entry === "number" && entry < 0) {
        for (const each of staged) if (typeof each === "number") this.#parts.lifecycle.abort(each);
        return entry === AGAIN ? "again" : undefined;
      }
      staged.push(entry);
    }
    return staged;
  }

  /** The reason why a request gets no memory, regardless of room. Leaves its key as the current key. */
  #refusal(plan: WritePlan, monotonicMs: number): WriteRefusal | undefined {
    const { tables, lifecycle, options, key } = this.#parts;
    key.set(plan.request.key);
    if (plan.request.decide?.(lifecycle.know(key)) === false) return "unwanted";
    if (plan.request.sizeBytes > options.admissionLimitBytes) return "too_large";
    const other = tables.entries.findStaging(key, plan.tag);
    if (other === NONE) return undefined;
    if (!tables.leases.isOverdue(tables.entries.get(other, FIELD.writer), monotonicMs)) return "staging";
    lifecycle.expireWrite(other);
    return undefined;
  }

  #stage(plan: WritePlan, monotonicMs: number): number {
    const { tables: { entries, leases }, lifecycle, options, key } = this.#parts;
    const entry = lifecycle.stage(key, plan.head, plan);
    if (entry < 0) return entry;
    const lease = leases.give(LEASE.write, entry, 1, monotonicMs + options.writeLeaseMs);
    if (lease === undefined) {
      lifecycle.discard(entry);
      return NONE;
    }
    const { sizeBytes, loading } = plan.request;
    entries.set(entry, FIELD.writer, lease.slot);
    entries.setDouble(entry, FIELD.sizeBytes, sizeBytes);
    if (loading !== undefined) entries.setMeta(entry, loading);
    return entry;
  }

  /** Returns all of the entry's memory, so that earlier views stay valid when it grows. */
  #stagingOf(entry: number): Staging {
    const { entries, leases } = this.#parts.tables;
    return {
      lease: leases.tokenOf(entries.get(entry, FIELD.writer)),
      extents: entries.viewsOf(entry, entries.capacityOf(entry)),
    };
  }

  #checkSize({ lease, sizeBytes }: WriteCommit, monotonicMs: number): void {
    const { entries, leases } = this.#parts.tables;
    const entry = leases.entryOf(lease, LEASE.write, monotonicMs);
    if (entry === NONE || sizeBytes <= entries.capacityOf(entry)) return;
    throw new VitrineError(
      "length_mismatch",
      `finish a write of at most ${entries.capacityOf(entry)} bytes: ${sizeBytes} bytes`,
    );
  }

  #finishOne(commit: WriteCommit, how: FinishOptions): WriteOutcome {
    const { tables: { entries, leases }, lifecycle, tally, key } = this.#parts;
    const entry = leases.entryOf(commit.lease, LEASE.write, how.monotonicMs);
    if (entry === NONE) return "stale";
    entries.loadKey(entry, key);
    const tenant = entries.tenantOf(entry);
    const reservedBytes = entries.getDouble(entry, FIELD.sizeBytes);
    const outcome = lifecycle.admit(entry, key, { ...commit, ...how });
    if (outcome === "admitted") tally.add(how.event, tenant, commit.sizeBytes);
    else tally.add("l1.write.aborted", tenant, reservedBytes);
    return outcome;
  }

  #tallyAborted(entry: number): void {
    const { entries } = this.#parts.tables;
    this.#parts.tally.add("l1.write.aborted", entries.tenantOf(entry), entries.getDouble(entry, FIELD.sizeBytes));
  }
}
