import { Buffer } from "node:buffer";
import { Arena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import type { Following, Lease, RemovalReason, Resident, WriteRequest } from "../../../src/l1/l1.ts";
import { clear, type FakeClock, type Told } from "../support.ts";

export const KEYS: readonly string[] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
export const ADMISSION_LIMIT = 20_000;
const LIMITS = { maxEntries: 5, maxBytes: 30_000 };

export function keyOf(key: string): { readonly tenant: string; readonly key: string } {
  return { tenant: key < "c" ? "t" : "", key };
}

/** Bytes of the largest arena that is crashed. */
const MOST_BYTES = 65_536;
const contents = new Map<number, Uint8Array>();

/** The bytes of the object that was written as `version`, and more: as many as the largest one has. */
function contentOf(version: number): Uint8Array {
  const found = contents.get(version & 255);
  if (found !== undefined) return found;
  const made = Uint8Array.from({ length: MOST_BYTES }, (_, at) => (version * 37 + at * 11 + (at >>> 8)) & 255);
  contents.set(version & 255, made);
  return made;
}

/** Whether a part of the object that was written as `version`, from its byte `at` on, has the right bytes. */
export function hasBytes(part: Uint8Array, version: number, at: number): boolean {
  return Buffer.compare(part, contentOf(version).subarray(at, at + part.length)) === 0;
}

/** The kept headers of the object that was written as `version`: none, few or many bytes. */
export function headersOf(version: number): string {
  return version % 3 === 0 ? "" : `x:${"v".repeat((version * 97) % 700)}${version}\n`;
}

/** An open write of one thread; a load's version is known from the start. */
export interface OpenWrite {
  readonly lease: Lease;
  readonly key: string;
  readonly version: number;
  readonly loading: boolean;
  sizeBytes: number;
  extents: readonly Uint8Array[];
}

/** An open read: where its bytes lie in the segment, and what they must be. */
export interface OpenRead {
  readonly lease: Lease;
  readonly version: number;
  readonly places: readonly { readonly at: number; readonly length: number }[];
}

/** Numbers from a seed, the same on every runtime. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }
}

/** Opens a thread's L1 over memory that is formatted already, or formats it. */
export function openManager(
  memory: ArenaMemory,
  { workerId, clock, format = false, arena, policy, told = [], onLeft = () => {} }: {
    readonly workerId: number;
    readonly clock: FakeClock;
    readonly policy: "s3-fifo" | "lru";
    readonly format?: boolean;
    readonly arena?: Arena;
    readonly told?: Told[];
    /** Called with each key that leaves. */
    readonly onLeft?: (key: string, reason: RemovalReason) => void;
  },
): L1Manager {
  return new L1Manager(memory, {
    workerId,
    clock,
    publish: (name, fields) => void told.push({ name, fields }),
    onRemoved: ({ bytes, tenantLength, length }, reason) =>
      onLeft(new TextDecoder().decode(bytes.slice(tenantLength, length)), reason),
    policy,
    admissionLimitBytes: ADMISSION_LIMIT,
    readLeaseMs: 1000,
    writeLeaseMs: 2000,
    highWatermark: 0.8,
    lowWatermark: 0.5,
    format,
  }, arena ?? new Arena(memory));
}

/** One thread doing random things to L1, and what it holds. */
export class Actor {
  readonly l1: L1Manager;
  readonly writes: OpenWrite[] = [];
  readonly reads: OpenRead[] = [];
  /** What it has taken to store it. */
  readonly taken: Lease[] = [];
  /** The versions that leave with their last reader. */
  readonly temporary = new Set<number>();
  readonly #clock: FakeClock;
  readonly #random: Random;
  readonly #tag: string;
  readonly #nextVersion: () => number;

  constructor(l1: L1Manager, options: {
    readonly clock: FakeClock;
    readonly random: Random;
    readonly tag: string;
    readonly nextVersion: () => number;
  }) {
    this.l1 = l1;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#tag = options.tag;
    this.#nextVersion = options.nextVersion;
  }

  /** Prepares one random operation; the function it returns is the call into L1. */
  next(): () => void {
    const random = this.#random;
    switch (random.below(20)) {
      case 0:
      case 1:
      case 2:
        return this.#reserveWrite();
      case 3:
      case 4:
      case 5:
        return this.#finishWrite();
      case 6:
        return this.#reserveRead();
      case 7:
      case 8:
        return this.#finishRead();
      case 9:
        return this.#changeWrite();
      case 10: {
        const keys = [keyOf(random.pick(KEYS) ?? "a"), keyOf(random.pick(KEYS) ?? "a")];
        const holder = { high: 7, low: random.below(2) };
        if (random.below(3) === 0) return () => void this.l1.release(holder, "");
        if (random.below(2) === 0) {
          const untilMs = this.#clock.now + 1000;
          return () => void this.l1.hold(keys, { holder, untilMs });
        }
        return random.below(3) === 0 ? () => this.l1.touch(keys) : () => void this.l1.delete(keys);
      }
      case 11:
      case 12:
        return this.#store();
      case 13:
      case 14:
        return this.#hit();
      case 15:
      case 16:
        return this.#write();
      case 17:
      case 18:
        return this.#changeQuota();
      default:
        return this.#upkeep();
    }
  }

  #reserveWrite(): () => void {
    const random = this.#random;
    const keys = [...new Set(Array.from({ length: 1 + random.below(2) }, () => random.pick(KEYS) ?? "a"))];
    const planned = keys.map((key) => {
      const sizeBytes = random.below(random.below(4) === 0 ? ADMISSION_LIMIT : 3000);
      const version = this.#nextVersion();
      const loading = random.below(3) === 0;
      const meta = { sizeBytes, crc32: 0, version, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
      const temporary = random.below(4) === 0;
      if (temporary) this.temporary.add(version);
      const request: WriteRequest = {
        key: keyOf(key),
        sizeBytes,
        contentType: "text/plain",
        sha256: "",
        headers: headersOf(version),
        temporary,
        ...(loading ? { loading: meta } : {}),
      };
      return { key, version, loading, request };
    });
    const tag = random.below(2) === 0 ? this.#tag : "load";
    return () => {
      const results = this.l1.reserveWrite(planned.map(({ request }) => request), tag);
      for (const [i, result] of results.entries()) {
        const plan = planned[i];
        if (typeof result !== "object" || plan === undefined) continue;
        this.writes.push({ ...result, ...plan, sizeBytes: plan.request.sizeBytes });
      }
    };
  }

  #write(): () => void {
    const random = this.#random;
    const key = keyOf(random.pick(KEYS) ?? "a");
    const sizeBytes = random.below(random.below(4) === 0 ? ADMISSION_LIMIT : 3000);
    const version = this.#nextVersion();
    const bytes = contentOf(version).subarray(0, sizeBytes);
    const expiresMs = random.below(4) === 0 ? this.#clock.now + 500 : 0;
    const meta = { sizeBytes, crc32: 0, version, createdMs: 0, expiresMs, contentType: "text/plain", sha256: "" };
    const dirty = random.below(2) === 0 ? LIMITS : undefined;
    return () => void this.l1.write({ key, meta: { ...meta, headers: headersOf(version) }, bytes }, { dirty });
  }

  #changeQuota(): () => void {
    const random = this.#random;
    const tenant = random.pick(["t", "", "u"]) ?? "";
    const quota = { limitBytes: random.below(40_000), isStrict: random.below(2) === 0 };
    const isEnd = random.below(3) === 0;
    return () => {
      this.l1.setQuota(tenant, isEnd ? undefined : quota);
      for (const _ of this.l1.settleQuotas());
    };
  }

  #finishWrite(): () => void {
    const random = this.#random;
    const open = random.pick(this.writes);
    if (open === undefined) return this.#reserveWrite();
    const another = random.below(3) === 0 ? this.writes.find(({ key }) => key !== open.key) : undefined;
    const batch = another === undefined ? [open] : [open, another];
    // Past its deadline a writer must let its memory be.
    for (const write of batch) if (this.l1.extend(write.lease, 0) !== "stale") fillVersion(write);
    const expiresMs = random.below(4) === 0 ? this.#clock.now + 500 : 0;
    const commits = batch.map(({ lease, sizeBytes, version }) => (
      { lease, sizeBytes, crc32: 0, version, createdMs: 0, expiresMs }
    ));
    const how = random.below(4);
    return () => {
      for (const write of batch) this.writes.splice(this.writes.indexOf(write), 1);
      const onResident = open.loading ? "keep" : "replace";
      if (how === 0) this.#keepReads(this.l1.finishWriteAndReserveRead(commits, onResident, 2));
      else if (how === 1) { for (const commit of commits) this.l1.admit(commit, { dirty: LIMITS }); }
      else this.l1.finishWrite(commits, onResident);
    };
  }

  #reserveRead(): () => void {
    const random = this.#random;
    const key = random.pick(KEYS) ?? "a";
    const keys = [keyOf(key), keyOf(random.pick(KEYS) ?? "a")];
    if (random.below(3) === 0) return () => this.#keepReads([this.l1.follow(keyOf(key), "load")]);
    const count = 1 + random.below(2);
    return () => this.#keepReads(this.l1.reserveRead(keys, count));
  }

  #finishRead(): () => void {
    const read = this.#random.pick(this.reads);
    if (read === undefined) return this.#reserveRead();
    return () => {
      this.reads.splice(this.reads.indexOf(read), 1);
      this.l1.finishRead([read.lease], 1 + this.#random.below(2));
    };
  }

  #hit(): () => void {
    const random = this.#random;
    const key = random.pick(KEYS) ?? "a";
    const maxBytes = random.below(3) === 0 ? 1000 : ADMISSION_LIMIT;
    return () =>
      void this.l1.hit(keyOf(key), maxBytes, ({ version, sizeBytes }, extents) => {
        let at = 0;
        for (const extent of extents) {
          if (!hasBytes(extent, version, at)) return wrongHit(key);
          at += extent.length;
        }
        return at === sizeBytes ? true : wrongHit(key);
      });
  }

  #store(): () => void {
    const lease = this.#random.pick(this.taken);
    const most = 1 + this.#random.below(3);
    if (lease === undefined || this.#random.below(3) === 0) {
      return () => void this.taken.push(...this.l1.takeDirty(most).map(({ resident }) => resident.lease));
    }
    return () => {
      this.taken.splice(this.taken.indexOf(lease), 1);
      this.l1.finishRead([lease]);
    };
  }

  #changeWrite(): () => void {
    const random = this.#random;
    const write = random.pick(this.writes);
    if (write === undefined) return this.#reserveWrite();
    if (random.below(3) === 0) {
      return () => {
        this.writes.splice(this.writes.indexOf(write), 1);
        this.l1.abort([write.lease]);
      };
    }
    const sizeBytes = write.loading ? write.sizeBytes : write.sizeBytes + random.below(4000);
    return () => {
      const extents = this.l1.extend(write.lease, sizeBytes);
      if (typeof extents === "string") return;
      write.sizeBytes = sizeBytes;
      write.extents = extents;
    };
  }

  #upkeep(): () => void {
    const random = this.#random;
    if (random.below(8) === 0) return () => void clear(this.l1, random.below(2) === 0 ? "t" : undefined);
    this.#clock.now += random.below(600);
    return () => this.l1.tick();
  }

  #keepReads(results: readonly (Resident | Following | undefined)[]): void {
    for (const result of results) {
      if (result === undefined) continue;
      // A follower's bytes are not there yet.
      const extents = "filledBytes" in result ? [] : result.extents;
      const places = extents.map(({ byteOffset, length }) => ({ at: byteOffset, length }));
      this.reads.push({ lease: result.lease, version: result.meta.version, places });
    }
  }
}

function wrongHit(key: string): never {
  throw new Error(`a hit of ${key} has wrong bytes`);
}

/** Writes the bytes of its version into an open write's memory. */
export function fillVersion({ extents, version, sizeBytes }: OpenWrite): void {
  let at = 0;
  for (const extent of extents) {
    const length = Math.min(extent.length, sizeBytes - at);
    extent.set(contentOf(version).subarray(at, at + length));
    at += length;
  }
}
