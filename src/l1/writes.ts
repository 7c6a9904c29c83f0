import { Buffer } from "node:buffer";
import { VitrineError } from "../core/errors.ts";
import { type EntryHead, FIELD, FLAG, headBytes, SHA256_BASE64_BYTES } from "./arena/entry.ts";
import { LEASE } from "./arena/lease_table.ts";
import { AGAIN, type Parts } from "./lifecycle.ts";
import type {
  AdmitConditions,
  Lease,
  Staging,
  WholeObject,
  WriteCommit,
  WriteOutcome,
  WriteRefusal,
  WriteRequest,
} from "./l1.ts";
import { MAX_CONTENT_TYPE_BYTES, MAX_KEPT_HEADER_BYTES, type ObjectMeta } from "../core/object.ts";
import { KeyBytes } from "./arena/key_bytes.ts";
import { GRANULE_BYTES } from "./arena/layout.ts";

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
  /** The key of a `write` from its plan on. Unlike the current key, a repair does not set it. */
  readonly #whole: KeyBytes;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#whole = new KeyBytes(parts.tables.arena.layout.hashSeed);
  }

  /** Stages a batch: all requests that need memory get it, or none. "again": room is still being made; call again. */
  reserve(plans: readonly WritePlan[], monotonicMs: number): readonly (Staging | WriteRefusal)[] | "again" {
    const staged = this.#stageAll(plans, monotonicMs);
    if (staged === "again") return staged;
    if (staged === undefined) return plans.map((plan) => this.#refusal(plan, monotonicMs) ?? "no_room");
    return staged.map((entry, i) => {
      const request = plans[i]?.request;
      if (entry === "over_quota" && request !== undefined) this.#refused(request.key.tenant, request.sizeBytes);
      if (typeof entry !== "number") return entry;
      if (request !== undefined) this.#parts.events.add("l1.write.reserved", request.key.tenant, request.sizeBytes);
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
  ): readonly Uint8Array[] | "no_room" | "too_large" | "over_quota" | "stale" | "again" {
    const { tables, lifecycle, options } = this.#parts;
    const entry = tables.leases.entryOf(lease, LEASE.write, monotonicMs);
    if (entry === NONE) return "stale";
    if (sizeBytes > options.admissionLimitBytes) return "too_large";
    const granules = Math.ceil((tables.entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES);
    const more = granules - tables.entries.get(entry, FIELD.granules);
    const isLoad = tables.entries.hasFlag(entry, FLAG.loading);
    if (more > 0 && !isLoad && this.#parts.quotas.refuses(tables.entries.accountOf(entry), more)) {
      this.#refused(tables.entries.tenantOf(entry), sizeBytes);
      return "over_quota";
    }
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
    for (const commit of commits) this.#check(commit, how.monotonicMs);
    for (const [index, commit] of [...commits.entries()].toReversed()) each(this.#finishOne(commit, how), index);
  }

  /** Leaves the entry's key as the current key. */
  admit(
    commit: WriteCommit,
    conditions: AdmitConditions,
    monotonicMs: number,
  ): "admitted" | "full" | "stale" | "unwanted" {
    const { tables: { entries, leases }, key } = this.#parts;
    const entry = leases.entryOf(commit.lease, LEASE.write, monotonicMs);
    if (entry === NONE) return "stale";
    entries.loadKey(entry, key);
    const declined = this.#declined(key, { conditions, sizeBytes: commit.sizeBytes, monotonicMs });
    if (declined !== undefined) return declined;
    this.#check(commit, monotonicMs);
    const isDirty = conditions.dirty !== undefined;
    const outcome = this.#finishOne(commit, {
      monotonicMs,
      isDirty,
      onResident: "replace",
      event: "l1.write.finished",
    });
    return outcome === "admitted" ? outcome : "stale";
  }

  /** Prepares a write, before the lock is taken. Valid until the next. Throws bad_key, bad_request, length_mismatch. */
  plan({ key, meta, bytes }: WholeObject): WholePlan {
    const { sizeBytes, contentType, sha256, headers } = meta;
    if (sizeBytes !== bytes.length) {
      throw new VitrineError("length_mismatch", `write ${sizeBytes} bytes: ${bytes.length} bytes`);
    }
    const plan = planWrite({ key, sizeBytes, contentType, sha256, headers }, NO_TAG, this.#whole);
    return { meta, bytes, plan };
  }

  /** Stages and admits. "again": room is still being made; plan and call again. */
  write(
    { meta, bytes, plan }: WholePlan,
    conditions: AdmitConditions,
    monotonicMs: number,
  ): "admitted" | "full" | "unwanted" | "no_room" | "too_large" | "over_quota" | "again" {
    const { tables: { entries }, lifecycle, events, options } = this.#parts;
    const { sizeBytes, crc32, version, createdMs, expiresMs } = meta;
    const { tenant } = plan.request.key;
    if (sizeBytes > options.admissionLimitBytes) return "too_large";
    const declined = this.#declined(this.#whole, { conditions, sizeBytes, monotonicMs });
    if (declined !== undefined) return declined;
    if (this.#isOverQuota(plan)) {
      this.#refused(tenant, sizeBytes);
      return "over_quota";
    }
    const entry = this.#stage(plan, this.#whole, monotonicMs);
    if (entry < 0) return entry === AGAIN ? "again" : "no_room";
    entries.fill(entry, bytes);
    events.add("l1.write.reserved", tenant, sizeBytes);
    const isDirty = conditions.dirty !== undefined;
    const how = { onResident: "replace", monotonicMs, isDirty } as const;
    lifecycle.admit(entry, this.#whole, { sizeBytes, crc32, version, createdMs, expiresMs, ...how });
    events.add("l1.write.finished", tenant, sizeBytes);
    return "admitted";
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
      this.#addAborted(entry);
      lifecycle.abort(entry);
    }
  }

  /** Checks the room for a dirty object, then asks `decide`. */
  #declined(
    key: KeyBytes,
    { conditions: { dirty, decide }, sizeBytes, monotonicMs }: {
      readonly conditions: AdmitConditions;
      readonly sizeBytes: number;
      readonly monotonicMs: number;
    },
  ): "full" | "unwanted" | undefined {
    const { tables, lifecycle } = this.#parts;
    if (dirty !== undefined && !tables.dirty.hasRoom(sizeBytes, dirty, monotonicMs)) return "full";
    return decide?.(lifecycle.know(key), key) === false ? "unwanted" : undefined;
  }

  /** Entries or refusals. Undefined, with nothing staged, if there is no room for all. */
  #stageAll(plans: readonly WritePlan[], monotonicMs: number): (number | WriteRefusal)[] | "again" | undefined {
    const needed = plans.filter((plan) => this.#refusal(plan, monotonicMs) === undefined);
    const granules = needed.reduce((sum, plan) => sum + plan.granules, 0);
    // A batch that can never fit must not empty the cache first.
    if (granules > this.#parts.lifecycle.stageableGranules) return undefined;
    const staged: (number | WriteRefusal)[] = [];
    for (const plan of plans) {
      const entry = this.#refusal(plan, monotonicMs) ?? this.#stage(plan, this.#parts.key, monotonicMs);
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
    if (plan.request.decide?.(lifecycle.know(key), key) === false) return "unwanted";
    if (plan.request.sizeBytes > options.admissionLimitBytes) return "too_large";
    const other = tables.entries.findStaging(key, plan.tag);
    if (other === NONE) return this.#isOverQuota(plan) ? "over_quota" : undefined;
    if (!tables.leases.isOverdue(tables.entries.get(other, FIELD.writer), monotonicMs)) return "staging";
    lifecycle.expireWrite(other);
    return this.#isOverQuota(plan) ? "over_quota" : undefined;
  }

  /** A load is never refused: it makes room among the tenant's own objects. */
  #isOverQuota({ request: { key, loading }, granules }: WritePlan): boolean {
    const { tables, quotas } = this.#parts;
    return loading === undefined && quotas.refuses(tables.quotas.accountOf(key.tenant), granules);
  }

  #refused(tenant: string, sizeBytes: number): void {
    this.#parts.events.add("l1.quota.refused", tenant, sizeBytes);
  }

  #stage(plan: WritePlan, key: KeyBytes, monotonicMs: number): number {
    const { tables: { entries, leases, quotas }, lifecycle, options } = this.#parts;
    const { granules, spareGranules, flags } = plan;
    const account = quotas.accountOf(plan.request.key.tenant);
    const kept = plan.request.loading === undefined ? 0 : lifecycle.keepWithin(account, granules);
    if (kept < 0) return kept;
    const entry = lifecycle.stage(key, plan.head, { granules, spareGranules, flags, account });
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

  #check({ lease, sizeBytes, headers }: WriteCommit, monotonicMs: number): void {
    const { entries, leases } = this.#parts.tables;
    const entry = leases.entryOf(lease, LEASE.write, monotonicMs);
    if (entry === NONE) return;
    const headerBytes = entries.get(entry, FIELD.headerBytes);
    if (headers !== undefined && Buffer.byteLength(headers) !== headerBytes) {
      throw new VitrineError("bad_request", `finish a write with ${headerBytes} bytes of headers: ${headers.length}`);
    }
    if (sizeBytes <= entries.capacityOf(entry)) return;
    throw new VitrineError(
      "length_mismatch",
      `finish a write of at most ${entries.capacityOf(entry)} bytes: ${sizeBytes} bytes`,
    );
  }

  #finishOne(commit: WriteCommit, how: FinishOptions): WriteOutcome {
    const { tables: { entries, leases }, lifecycle, events, key } = this.#parts;
    const entry = leases.entryOf(commit.lease, LEASE.write, how.monotonicMs);
    if (entry === NONE) return "stale";
    entries.loadKey(entry, key);
    const tenant = entries.tenantOf(entry);
    const reservedBytes = entries.getDouble(entry, FIELD.sizeBytes);
    const outcome = lifecycle.admit(entry, key, { ...commit, ...how });
    if (outcome === "admitted") events.add(how.event, tenant, commit.sizeBytes);
    else events.add("l1.write.aborted", tenant, reservedBytes);
    return outcome;
  }

  #addAborted(entry: number): void {
    const { entries } = this.#parts.tables;
    this.#parts.events.add("l1.write.aborted", entries.tenantOf(entry), entries.getDouble(entry, FIELD.sizeBytes));
  }
}

/** Maximum bytes of a writer's tag. */
const MAX_TAG_BYTES = 255;

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array();
/** The tag of a staging that no other thread sees. */
const NO_TAG = { text: "", bytes: NO_BYTES };

/** A write request with its encoded head and its memory. */
export interface WritePlan {
  readonly request: WriteRequest;
  readonly tag: string;
  readonly head: EntryHead;
  readonly granules: number;
  /** Additional granules, taken only if they are free. */
  readonly spareGranules: number;
  readonly flags: number;
}

/** A whole object with the plan of its write. */
interface WholePlan {
  readonly meta: ObjectMeta;
  readonly bytes: Uint8Array;
  readonly plan: WritePlan;
}

/** Checks write requests and computes their memory before the lock is taken. Throws bad_key or bad_request. */
export function planWrites(requests: readonly WriteRequest[], tag: string, key: KeyBytes): readonly WritePlan[] {
  const encodedTag = { text: tag, bytes: encoder.encode(tag) };
  if (encodedTag.bytes.length > MAX_TAG_BYTES) throw refused("a tag", encodedTag.bytes.length, MAX_TAG_BYTES);
  return requests.map((request) => planWrite(request, encodedTag, key));
}

/** Leaves the request's key in `key`. */
function planWrite(
  request: WriteRequest,
  tag: { readonly text: string; readonly bytes: Uint8Array },
  key: KeyBytes,
): WritePlan {
  const { sizeBytes, sha256, loading, headers = "" } = request;
  const contentType = encoded(request.contentType);
  if (contentType.length > MAX_CONTENT_TYPE_BYTES) {
    throw refused("a Content-Type", contentType.length, MAX_CONTENT_TYPE_BYTES);
  }
  if (sha256 !== "" && sha256.length !== SHA256_BASE64_BYTES) {
    throw refused("a SHA-256", sha256.length, SHA256_BASE64_BYTES);
  }
  if (headers.length > MAX_KEPT_HEADER_BYTES) throw refused("headers", headers.length, MAX_KEPT_HEADER_BYTES);
  if (loading !== undefined && loading.sizeBytes !== sizeBytes) {
    throw new VitrineError("bad_request", `reserve a load: ${sizeBytes} of ${loading.sizeBytes} bytes`);
  }
  key.set(request.key);
  const head = {
    contentType,
    sha256,
    headers: encoded(headers),
    tag: tag.bytes,
  };
  const bytes = headBytes(key, head) + sizeBytes;
  const granules = Math.max(1, Math.ceil(bytes / GRANULE_BYTES));
  return {
    request,
    tag: tag.text,
    head,
    granules,
    spareGranules: Math.max(0, Math.ceil((bytes + (request.spareBytes ?? 0)) / GRANULE_BYTES) - granules),
    flags: (loading === undefined ? 0 : FLAG.loading) | (request.temporary === true ? FLAG.temporary : 0),
  };
}

function encoded(text: string): Uint8Array {
  return text === "" ? NO_BYTES : encoder.encode(text);
}

function refused(what: string, bytes: number, maxBytes: number): VitrineError {
  return new VitrineError("bad_request", `reserve a write with ${what} of at most ${maxBytes} bytes: ${bytes} bytes`);
}
