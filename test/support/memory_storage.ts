import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Clock } from "../../src/core/clock.ts";
import { VitrineError } from "../../src/core/errors.ts";
import { holds, isExpired, keyId, type ObjectKey, type ObjectMeta, type Precondition } from "../../src/core/object.ts";
import type { MissReason } from "../../src/core/events.ts";
import type {
  Explanation,
  HeldKeys,
  Holder,
  Job,
  JobOutcome,
  LateFacts,
  Leasing,
  ListEntry,
  LookupListener,
  ManyLookup,
  ObjectRead,
  Prefetch,
  PrefetchState,
  PutRequest,
  PutResult,
  Storage,
  StorageStatus,
  Tried,
  Upload,
  UseHit,
} from "../../src/storage/storage.ts";
import { prefixesOf } from "../../src/storage/read/many_lookup.ts";

interface Entry {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly bytes: Uint8Array;
}

/** Limits and failures, changeable while it runs. */
export interface MemoryStorageKnobs {
  readonly clock: Clock;
  maxObjectBytes: number;
  /** Larger objects are found in the tier "fs", asynchronously, and only as a stream. */
  readonly l1LimitBytes: number;
  /** Every write is refused with no_room. */
  full?: boolean;
  /** Every call that needs a tier throws tier_failed. */
  failing?: boolean;
  /** Streams throw after this many bytes. */
  streamFailsAtBytes?: number;
}

const CHUNK_BYTES = 1024 * 1024;

/** A Storage on a Map that keeps every promise of the interface: for tests of what stands on top of it. */
export class MemoryStorage implements Storage {
  readonly tiers: readonly string[] = ["l1", "fs"];
  /** Reads not released, and uploads neither finished nor aborted. */
  readonly open = { reads: 0, uploads: 0 };
  jobs: (Job & { readonly view: PrefetchState })[] = [];
  leases: (Leasing & { readonly tenant: string })[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #deleted = new Set<string>();
  readonly #knobs: MemoryStorageKnobs;
  #version = 0;
  #draining = false;

  constructor(knobs: MemoryStorageKnobs) {
    this.#knobs = knobs;
  }

  hit<T>(key: ObjectKey, maxBytes: number, use: UseHit<T>): T | undefined {
    const entry = this.#find(key);
    if (entry === undefined || entry.bytes.length > Math.min(maxBytes, this.#knobs.l1LimitBytes)) return undefined;
    return use(entry.meta, [entry.bytes]);
  }

  get(key: ObjectKey, listener?: LookupListener): ObjectRead | undefined | Promise<ObjectRead | undefined> {
    const entry = this.#find(key);
    if (entry === undefined) return this.#askTiers(key, listener);
    if (entry.bytes.length <= this.#knobs.l1LimitBytes) return this.#read(entry, "l1");
    return Promise.resolve(this.#read(entry, "fs"));
  }

  head(key: ObjectKey, listener?: LookupListener) {
    const entry = this.#find(key);
    if (entry === undefined) return this.#askTiers(key, listener);
    return { meta: entry.meta, tier: entry.bytes.length <= this.#knobs.l1LimitBytes ? "l1" : "fs" };
  }

  async lookup(keys: readonly ObjectKey[], { leasing }: ManyLookup = {}): Promise<HeldKeys> {
    const isFailing = this.#knobs.failing === true;
    const levels = Uint32Array.from(keys, (key) => {
      const sizeBytes = this.#find(key)?.bytes.length;
      if (sizeBytes === undefined) return 0;
      return sizeBytes <= this.#knobs.l1LimitBytes ? 1 : isFailing ? 0 : 2;
    });
    const failed = new Map(isFailing && levels.includes(0) ? [["fs", "look up: down"]] : []);
    const leased = leasing === undefined ? [] : [...keys.keys()].filter((index) => levels[index] === 1);
    const refused = this.#knobs.full === true ? leased : [];
    if (leasing !== undefined && refused.length === 0) {
      for (const _ of leased) this.leases.push({ ...leasing, tenant: keys[0]?.tenant ?? "" });
    }
    return { levels, prefixes: prefixesOf(levels, 2), failed, refused };
  }

  /** Ends at once. Objects that only the tier has do not fit into L1. */
  prefetch(keys: readonly ObjectKey[], { mode, owner, deadlineMs, leaseMs }: Prefetch): Holder {
    if (this.#knobs.full === true) throw new VitrineError("overloaded", "begin prefetch: 0 jobs are running");
    const id = { high: 7, low: this.jobs.length };
    const holds = keys.map((key) => this.#find(key)?.bytes.length);
    const outcomes = holds.map((sizeBytes): JobOutcome => {
      if (sizeBytes === undefined) return "miss";
      return sizeBytes <= this.#knobs.l1LimitBytes ? "hit" : "refused_no_room";
    });
    const end = mode === "full" ? -1 : outcomes.findIndex((outcome) => outcome !== "hit");
    if (end !== -1) outcomes.fill("not_attempted", end + 1);
    const { clock } = this.#knobs;
    const tenant = keys[0]?.tenant ?? "";
    for (const outcome of outcomes) {
      if (leaseMs === undefined || outcome !== "hit") continue;
      this.leases.push({ holder: id, untilMs: clock.monotonicMs() + deadlineMs + leaseMs, loads: true, tenant });
    }
    const leaseEndsMs = leaseMs === undefined ? undefined : clock.nowMs() + deadlineMs + leaseMs;
    this.jobs.push({ id, owner, view: { state: "done", mode, outcomes, leaseEndsMs } });
    return id;
  }

  async prefetchState(job: Job): Promise<PrefetchState | undefined> {
    return this.jobs.find((each) => isSame(each, job))?.view;
  }

  cancelPrefetch(job: Job, tenant: string): boolean {
    const before = this.jobs.length;
    this.jobs = this.jobs.filter((each) => !isSame(each, job));
    if (this.jobs.length === before) return false;
    this.release(job.id, tenant);
    return true;
  }

  release({ high, low }: Holder, tenant: string): number {
    const isTheirs = (lease: (typeof this.leases)[number]) =>
      lease.holder.high === high && lease.holder.low === low && lease.tenant === tenant;
    const released = this.leases.filter(isTheirs).length;
    this.leases = this.leases.filter((lease) => !isTheirs(lease));
    return released;
  }

  async explain(key: ObjectKey): Promise<Explanation> {
    const entry = this.#find(key);
    const isResident = entry !== undefined && entry.bytes.length <= this.#knobs.l1LimitBytes;
    if (isResident) return { result: "hit", tier: "l1", tried: [{ tier: "l1", result: "hit", seconds: 0 }] };
    const reason = this.#reasonOf(key);
    const l1: Tried = { tier: "l1", result: "miss", reason, seconds: 0 };
    if (this.#knobs.failing === true) {
      const fs: Tried = { tier: "fs", result: "error", reason: "tier_failed", error: "down", seconds: 0 };
      return { result: "error", reason: "tier_failed", tried: [l1, fs] };
    }
    if (entry !== undefined) {
      return { result: "hit", tier: "fs", tried: [l1, { tier: "fs", result: "hit", seconds: 0 }] };
    }
    return { result: "miss", reason, tried: [l1, { tier: "fs", result: "miss", reason, seconds: 0 }] };
  }

  reserve(request: PutRequest): Upload {
    const { key, sizeBytes, precondition } = request;
    if (this.#draining) throw new VitrineError("shutting_down", "reserve: draining");
    this.#check(key, precondition);
    this.#checkSize(sizeBytes ?? 0);
    if (this.#knobs.full === true) throw new VitrineError("no_room", "reserve: full", { details: { limit_bytes: 0 } });
    this.open.uploads++;
    const chunks: Uint8Array[] = [];
    let received = 0;
    let ended = false;
    const end = () => {
      if (!ended) this.open.uploads--;
      ended = true;
    };
    const write = (chunk: Uint8Array): void => {
      received += chunk.length;
      if (sizeBytes !== undefined && received > sizeBytes) {
        throw new VitrineError("length_mismatch", `write: more than ${sizeBytes} bytes`);
      }
      this.#checkSize(received);
      chunks.push(chunk.slice());
    };
    return {
      write,
      finish: async ({ last, ...late } = {}) => {
        end();
        if (last !== undefined) write(last);
        if (sizeBytes !== undefined && received !== sizeBytes) {
          throw new VitrineError("length_mismatch", `finish: ${received} of ${sizeBytes} bytes`);
        }
        return this.#admit(request, late, Buffer.concat(chunks));
      },
      abort: end,
    };
  }

  async delete(key: ObjectKey, precondition?: Precondition): Promise<boolean> {
    if (this.#knobs.failing === true) {
      throw new VitrineError("tier_failed", "delete: down", { details: { tier: "fs" } });
    }
    this.#check(key, precondition);
    const found = this.#find(key) !== undefined;
    this.#entries.delete(keyId(key));
    if (found) this.#deleted.add(keyId(key));
    return found;
  }

  async clear(
    { tenant }: { readonly tenant: string | undefined; readonly tier: string | undefined },
  ): Promise<Readonly<Record<string, number>>> {
    const doomed = Array.from(this.#entries).filter(([, { key }]) => tenant === undefined || key.tenant === tenant);
    for (const [id] of doomed) this.#entries.delete(id);
    return { l1: doomed.length };
  }

  async list(
    query: Parameters<Storage["list"]>[0],
  ): Promise<{ readonly entries: readonly ListEntry[]; readonly more: boolean }> {
    const entries = Array.from(this.#entries.values())
      .filter(({ key }) => key.tenant === query.tenant && key.key.startsWith(query.prefix))
      .filter(({ key }) => Buffer.compare(Buffer.from(key.key), Buffer.from(query.after)) > 0)
      .filter(({ bytes }) => query.tier !== "l1" || bytes.length <= this.#knobs.l1LimitBytes)
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.key.key), Buffer.from(b.key.key)))
      .map(({ key, meta }) => ({ key: key.key, meta }));
    return { entries: entries.slice(0, query.limit), more: entries.length > query.limit };
  }

  async status(): Promise<StorageStatus> {
    return {
      l1: {
        objects: this.#entries.size,
        maxObjects: 1000,
        usedBytes: 0,
        capacityBytes: 0,
        stagingBytes: 0,
        payloadBytes: 0,
        readLeases: this.open.reads,
        writeLeases: this.open.uploads,
        holds: 0,
        heldBytes: 0,
        oldestAgeSeconds: 0,
        repairs: 0,
      },
      l2: [{ tier: "fs", objects: this.#entries.size }],
      storeQueue: { entries: 0, bytes: 0, inFlight: 0, oldestAgeSeconds: 0 },
      quotas: [],
      loadsInFlight: 0,
      lossesForgotten: 0,
    };
  }

  async drain(): Promise<void> {
    this.#draining = true;
  }

  #find(key: ObjectKey): Entry | undefined {
    const entry = this.#entries.get(keyId(key));
    return entry === undefined || isExpired(entry.meta, this.#knobs.clock.nowMs()) ? undefined : entry;
  }

  #reasonOf(key: ObjectKey): MissReason {
    if (this.#deleted.has(keyId(key))) return "deleted";
    return this.#entries.has(keyId(key)) ? "expired" : "never_stored";
  }

  async #askTiers(key: ObjectKey, listener: LookupListener | undefined): Promise<undefined> {
    if (this.#knobs.failing !== true) listener?.missed(this.#reasonOf(key));
    if (this.#knobs.failing === true) {
      throw new VitrineError("tier_failed", "look up: down", { details: { tier: "fs" } });
    }
  }

  #check(key: ObjectKey, precondition: Precondition | undefined): void {
    if (precondition !== undefined && !holds(precondition, this.#find(key)?.meta)) {
      throw new VitrineError("precondition_failed", "check precondition: it does not hold");
    }
  }

  #checkSize(sizeBytes: number): void {
    const { maxObjectBytes } = this.#knobs;
    if (sizeBytes > maxObjectBytes) {
      throw new VitrineError("too_large", `reserve: above ${maxObjectBytes}`, {
        details: { limit_bytes: maxObjectBytes },
      });
    }
  }

  #admit(request: PutRequest, late: LateFacts, body: Uint8Array): PutResult {
    const { key, sha256, ttlSeconds, contentType } = request;
    const { headers = request.headers, precondition = request.precondition, origin } = late;
    if (origin !== undefined && (origin.sizeBytes !== body.length || origin.crc32 !== crc32(body))) {
      throw new VitrineError("digest_mismatch", "finish: another size or CRC-32");
    }
    if (sha256 !== "" && createHash("sha256").update(body).digest("base64") !== sha256) {
      throw new VitrineError("digest_mismatch", "finish: another SHA-256");
    }
    this.#check(key, precondition);
    const createdMs = this.#knobs.clock.nowMs();
    const bytes = new Uint8Array(new SharedArrayBuffer(body.length));
    bytes.set(body);
    const meta: ObjectMeta = {
      sizeBytes: body.length,
      crc32: crc32(body),
      version: ++this.#version,
      createdMs,
      expiresMs: ttlSeconds === 0 ? 0 : createdMs + ttlSeconds * 1000,
      contentType,
      sha256,
      ...(headers === undefined ? {} : { headers }),
      ...origin,
    };
    const before = this.#find(key)?.meta;
    this.#entries.set(keyId(key), { key, meta, bytes });
    this.#deleted.delete(keyId(key));
    return { meta, replaced: before !== undefined, before };
  }

  #read({ meta, bytes }: Entry, tier: string): ObjectRead {
    const { streamFailsAtBytes = Infinity } = this.#knobs;
    let held = true;
    this.open.reads++;
    return {
      meta,
      tier,
      copy: (start, end) => tier === "l1" ? bytes.slice(start, end) : undefined,
      async *chunks(start, end) {
        for (let at = start; at < end; at += CHUNK_BYTES) {
          if (at >= streamFailsAtBytes) throw new VitrineError("tier_failed", "read: down");
          yield bytes.subarray(at, Math.min(end, at + CHUNK_BYTES));
        }
      },
      release: () => {
        if (held) this.open.reads--;
        held = false;
      },
    };
  }
}

function isSame(one: Job, other: Job): boolean {
  const [a, b] = [one, other].map(({ id, owner }) => [id.high, id.low, owner.high, owner.low].join());
  return a === b;
}
