import type { Clock } from "../../src/core/clock.ts";
import type { ObjectKey } from "../../src/core/object.ts";
import type { Publish } from "../../src/core/events.ts";
import type { EventMap, EventName } from "../../src/events/catalogue.ts";
import { allocateArena, type ArenaMemory } from "../../src/l1/arena/arena.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import type { Lease } from "../../src/l1/l1.ts";
import type { L2Adapter } from "../../src/l2/adapter.ts";
import { ChangeServer } from "../../src/storage/changes/change_server.ts";
import type { FromTierOwner, ToTierOwner, TracedWrite } from "../../src/storage/changes/tier_changes.ts";
import { RemoteChanges } from "../../src/storage/changes/remote_changes.ts";
import { TierOwner } from "../../src/storage/changes/tier_owner.ts";
import { openOwnerContext } from "../../src/storage/context.ts";
import { allocateSharedKeys, type SharedKeysMemory } from "../../src/storage/shared/memory.ts";
import { endClearing, SharedKeys } from "../../src/storage/shared/shared_keys.ts";
import type { Timers } from "../../src/storage/timers.ts";
import { StorageManager, type StorageManagerOptions } from "../../src/storage/storage_manager.ts";
import type { ObjectRead, PutRequest, PutResult } from "../../src/storage/storage.ts";
import { fakeChannel } from "./fake_channel.ts";
import { MapAdapter, OwnMapAdapter, type Stored } from "./map_adapter.ts";

/** Main's number in a cluster. */
const MAIN_HOLDER = 1000;

/** How long the bench's leases live, in milliseconds. */
export const LEASE_MS = 1000;

/** Small tables for few keys: those of a server are 6 MiB, and property tests build thousands of benches. */
const SHARED_KEYS = { hashSeed: 7, stripes: 1024, maxStaleKeys: 64, ghosts: 1024, storedKeysBytes: 16_384 };

/** The bounds of a bench on what is dirty. */
const STORE_QUEUE = { maxEntries: 16, maxBytes: 32_768 };

interface Published {
  readonly name: EventName;
  readonly fields: unknown;
}

function isNamed<Name extends EventName>(
  event: Published,
  name: Name,
): event is { readonly name: Name; readonly fields: EventMap[Name] } {
  return event.name === name;
}

/** A clock and timers that only `advance` moves. */
export class ManualTime implements Clock, Timers {
  #nowMs = 1_700_000_000_000;
  #stepMs = 0;
  readonly #every = new Set<{ readonly everyMs: number; readonly run: () => void; nextMs: number }>();
  /** What waits in `after`. */
  readonly delays: { readonly delayMs: number; readonly wake: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs + this.#stepMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Sets wall time forward, or back. */
  step(ms: number): void {
    this.#stepMs += ms;
  }

  every(everyMs: number, run: () => void): () => void {
    const timer = { everyMs, run, nextMs: this.#nowMs + everyMs };
    this.#every.add(timer);
    return () => this.#every.delete(timer);
  }

  after(delayMs: number): Promise<void> {
    return new Promise((wake) => this.delays.push({ delayMs, wake }));
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  /** Moves time with every timer in its turn. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#every].sort((a, b) => a.nextMs - b.nextMs)[0];
      if (next === undefined || next.nextMs > endMs) break;
      this.#nowMs = next.nextMs;
      next.nextMs += next.everyMs;
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** Moves time as if the whole process had been stopped: no timer runs. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }
}

/** A storage manager over a small real L1 and Map tiers. */
export interface StorageBench {
  readonly storage: StorageManager;
  readonly l1: L1Manager;
  readonly time: ManualTime;
  /** Throws if there is no such tier. */
  tier(index: number): MapAdapter;
  /** The events of one name as published. */
  readonly named: <Name extends EventName>(name: Name) => readonly EventMap[Name][];
  /** Evicts everything from L1 that nothing pins. */
  evictAll(): void;
}

/** Settings of a bench that differ from: one tier, back, 64 KiB of L1 that admits up to 4 KiB. */
export type BenchOptions =
  & Partial<Omit<StorageManagerOptions, "tiers" | "l1" | "publish" | "clock" | "shared" | "changes">>
  & {
    readonly tiers?: number;
    readonly l1Bytes?: number;
    readonly admissionLimitBytes?: number;
    /** Of L1 (default 256). */
    readonly maxObjects?: number;
    /** Whether nobody else uses the tiers, and they take small objects whole (default false). */
    readonly ownTiers?: boolean;
    /** The index of a tier in which nothing is stored (default: none). */
    readonly storeOff?: number;
    /** By tier: how old L1's copies may be (default: without limit). */
    readonly maxAgesMs?: readonly (number | undefined)[];
    /** What the tiers of a bench that is alone hold (default: nothing). */
    readonly stores?: readonly Map<string, Stored>[];
    /** The clock of a bench that is alone (default: its own). */
    readonly time?: ManualTime;
    /** Puts a wrapper around each tier. */
    readonly wrap?: (adapter: L2Adapter) => L2Adapter;
    /** How long a manager waits for the owner of the tiers, in milliseconds (default: as long as it takes). */
    readonly timeoutMs?: number;
    /** When a message between a manager and the owner arrives (default: soon). */
    readonly deliver?: () => Promise<unknown>;
  };

/** What the managers of a cluster have in common. */
export interface ClusterParts {
  readonly time: ManualTime;
  readonly arena: ArenaMemory;
  readonly keys: SharedKeysMemory;
  /** The contents of the tiers. */
  readonly stores: readonly Map<string, Stored>[];
}

/** One thread's view of L1 and the tiers. */
interface View {
  readonly l1: L1Manager;
  readonly adapters: readonly L2Adapter[];
  readonly publish: Publish<EventMap>;
  /** Throws if there is no such tier. */
  readonly tier: (index: number) => MapAdapter;
  /** The events of one name as published. */
  readonly named: StorageBench["named"];
}

/** The owner of a cluster's tiers: a thread of its own, as far as the managers can tell. */
export interface OwnerBench extends Pick<View, "l1" | "tier" | "named"> {
  readonly owner: TierOwner;
  /** Gives a manager a line; the function that it returns is called when the manager is gone. */
  readonly connect: (changes: RemoteChanges) => () => void;
  /** Its thread is gone, as main and the managers hear of it; what waits at its gates goes on waiting. */
  readonly die: () => Promise<void>;
}

/** What benches share, for managers that each have their own view of it. */
export function clusterParts(options: BenchOptions = {}): ClusterParts {
  const { tiers = 1, l1Bytes = 65_536 } = options;
  return {
    time: new ManualTime(),
    arena: allocateArena({ sizeBytes: l1Bytes, maxObjects: 256, maxLeases: 512, hashSeed: 7 }),
    keys: allocateSharedKeys(SHARED_KEYS),
    stores: Array.from({ length: tiers }, () => new Map()),
  };
}

/** Builds a bench that is alone. */
export function storageBench(options: BenchOptions = {}): StorageBench {
  const { tiers = 1, l1Bytes = 65_536, maxObjects = 256 } = options;
  const arena = allocateArena({ sizeBytes: l1Bytes, maxObjects, maxLeases: 512, hashSeed: 7 }, "private");
  const stores = options.stores ?? Array.from({ length: tiers }, () => new Map<string, Stored>());
  const shared = new SharedKeys(allocateSharedKeys(SHARED_KEYS, "private"), 1);
  return managerBench(
    { time: options.time ?? new ManualTime(), arena, stores },
    { ...options, workerId: 1 },
    () => ({ shared }),
  );
}

/** Builds the owner of what a cluster shares: the first to come has workerId 1. */
export function ownerBench(parts: ClusterParts, options: BenchOptions & { readonly workerId: number }): OwnerBench {
  const { time } = parts;
  const { workerId, deliver, storeConcurrency = 2, storeQueue = STORE_QUEUE } = options;
  const view = viewOf(parts, options);
  const { l1, publish, adapters: tiers } = view;
  const shared = new SharedKeys(parts.keys, workerId);
  const context = openOwnerContext(tiers, { l1, publish, clock: time, timers: time, leaseMs: LEASE_MS, shared });
  const owner = new TierOwner(context, { concurrency: storeConcurrency, storeQueue });
  const wake = (traced?: TracedWrite) => owner.wake(traced);
  const lines: (() => void)[] = [];
  return {
    ...view,
    owner,
    connect(changes) {
      const [mine, theirs] = fakeChannel<readonly FromTierOwner[], readonly ToTierOwner[]>(deliver);
      const server = new ChangeServer(mine, { owner, context, wake });
      lines.push(() => server.end());
      changes.connect(theirs);
      return () => server.end();
    },
    die: async () => {
      for (const end of lines.splice(0)) end();
      // Main does it, who is none of these.
      const main = viewOf(parts, { ...options, workerId: MAIN_HOLDER });
      await main.l1.takeOver(workerId);
      endClearing(parts.keys, workerId);
    },
  };
}

/** A manager over what others share, and its line to the owner of the tiers. */
export interface ClusterBench extends StorageBench {
  readonly changes: RemoteChanges;
  /** Its thread is gone, as main tells of it. */
  readonly die: () => Promise<void>;
}

/** Builds a manager that reaches the owner of the tiers over a line. */
export function clusterBench(
  parts: ClusterParts,
  owner: OwnerBench,
  options: BenchOptions & { readonly workerId: number },
): ClusterBench {
  const { time } = parts;
  const { workerId, timeoutMs = 0 } = options;
  const shared = new SharedKeys(parts.keys, workerId);
  const made: { changes?: RemoteChanges; detach?: () => void } = {};
  const bench = managerBench(parts, options, (view) => {
    const every = (ms: number, run: () => void) => time.every(ms, run);
    made.changes = new RemoteChanges({ ...view, shared, clock: time, timeoutMs, every });
    made.detach = owner.connect(made.changes);
    return { shared, changes: made.changes };
  });
  if (made.changes === undefined) throw new Error("no line");
  return {
    ...bench,
    changes: made.changes,
    die: async () => {
      await owner.l1.takeOver(workerId);
      endClearing(parts.keys, workerId);
      made.detach?.();
    },
  };
}

function viewOf(
  { time, arena, stores }: Pick<ClusterParts, "time" | "arena" | "stores">,
  options: BenchOptions & { readonly workerId: number },
): View {
  const { admissionLimitBytes = 4096, workerId, ownTiers, storeOff, maxAgesMs = [], wrap } = options;
  const events: Published[] = [];
  const publish: Publish<EventMap> = (name, fields) => events.push({ name, fields });
  const l1 = new L1Manager(arena, {
    workerId,
    clock: time,
    publish,
    policy: "lru",
    admissionLimitBytes,
    readLeaseMs: LEASE_MS,
    writeLeaseMs: LEASE_MS,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: workerId === 1,
  });
  const Kind = ownTiers === true ? OwnMapAdapter : MapAdapter;
  const maps = stores.map((objects, index) =>
    new Kind(`t${index + 1}`, { objects, takesStores: index !== storeOff, maxAgeMs: maxAgesMs[index] })
  );
  return {
    l1,
    adapters: wrap === undefined ? maps : maps.map(wrap),
    publish,
    tier: (index) => {
      const adapter = maps[index];
      if (adapter === undefined) throw new RangeError(`tier ${index}`);
      return adapter;
    },
    named: (name) => events.flatMap((event) => isNamed(event, name) ? [event.fields] : []),
  };
}

/** What a manager shares that has no other threads beside it. */
function privateKeys(): SharedKeys {
  return new SharedKeys(allocateSharedKeys({ hashSeed: 0 }, "private"), 1);
}

function managerBench(
  parts: Pick<ClusterParts, "time" | "arena" | "stores">,
  options: BenchOptions & { readonly workerId: number },
  join: (view: View) => Pick<StorageManagerOptions, "shared" | "changes"> = () => ({ shared: privateKeys() }),
): StorageBench {
  const { time } = parts;
  const {
    tiers: _tiers,
    l1Bytes: _l1Bytes,
    admissionLimitBytes = 4096,
    workerId: _holder,
    ownTiers: _ownTiers,
    storeOff: _storeOff,
    maxAgesMs: _maxAgesMs,
    stores: _stores,
    time: _time,
    wrap: _wrap,
    timeoutMs: _timeoutMs,
    deliver: _deliver,
    maxObjects: _maxObjects,
    ...rest
  } = options;
  const view = viewOf(parts, options);
  const { l1, publish, tier, named } = view;
  const storage = new StorageManager({
    l1,
    tiers: view.adapters,
    publish,
    clock: time,
    timers: time,
    write: "back",
    maxObjectBytes: 1_000_000,
    leaseMs: LEASE_MS,
    storeQueue: STORE_QUEUE,
    storeConcurrency: 2,
    ...rest,
    ...join(view),
  });
  return {
    storage,
    l1,
    time,
    tier,
    named,
    evictAll: () => {
      const fillers: { readonly key: ObjectKey; readonly lease: Lease }[] = [];
      for (let size = admissionLimitBytes; size >= 64;) {
        const key = { tenant: "filler", key: String(fillers.length) };
        const [staged] = l1.reserveWrite([{ key, sizeBytes: size, contentType: "", sha256: "" }], "filler");
        if (typeof staged === "object") {
          const commit = { lease: staged.lease, sizeBytes: size, crc32: 0, version: 1, createdMs: 0, expiresMs: 0 };
          const [held] = l1.finishWriteAndReserveRead([commit], "replace");
          if (held !== undefined) fillers.push({ key, lease: held.lease });
        } else size = Math.floor(size / 2);
      }
      l1.finishRead(fillers.map(({ lease }) => lease));
      l1.delete(fillers.map(({ key }) => key));
    },
  };
}

/** A key of the default tenant. */
export function key(name: string): ObjectKey {
  return { tenant: "", key: name };
}

/** A request with the usual defaults. */
export function putRequest(name: string, fields: Partial<PutRequest> = {}): PutRequest {
  return {
    key: key(name),
    sizeBytes: undefined,
    contentType: "",
    sha256: "",
    ttlSeconds: 0,
    durability: undefined,
    precondition: undefined,
    ...fields,
  };
}

/** Puts bytes in pieces, of which the upload ends with the last; aborts and rethrows what fails. */
export async function put(
  storage: StorageManager,
  name: string,
  options: Partial<PutRequest> & {
    readonly body: Uint8Array | string;
    /** Bytes of a piece (default 1000). */
    readonly pieceBytes?: number;
  },
): Promise<PutResult> {
  const { body, pieceBytes = 1000, ...fields } = options;
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const upload = await storage.reserve(putRequest(name, { sizeBytes: bytes.length, ...fields }));
  try {
    let at = 0;
    for (; at + pieceBytes < bytes.length; at += pieceBytes) await upload.write(bytes.slice(at, at + pieceBytes));
    return await upload.finish({ last: bytes.slice(at) });
  } catch (error) {
    upload.abort();
    throw error;
  }
}

/** All bytes of a read, which is then released. */
export async function drainRead(read: ObjectRead): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let outcome: "finished" | "aborted" = "aborted";
  try {
    for await (const chunk of read.chunks(0, read.meta.sizeBytes)) chunks.push(chunk.slice());
    outcome = "finished";
  } finally {
    read.release(outcome);
  }
  return privateCopyOf(chunks);
}

function privateCopyOf(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** A small object's bytes are copied in one step if L1 has it, as the routes do. */
const SMALL_BYTES = 32 * 1024;

/** The object's bytes, or undefined if it is a miss. */
export async function getBytes(storage: StorageManager, name: string): Promise<Uint8Array | undefined> {
  const hit = storage.hit(key(name), SMALL_BYTES, (_meta, extents) => privateCopyOf(extents));
  if (hit !== undefined) return hit;
  const read = await storage.get(key(name));
  return read && await drainRead(read);
}

/** The object as text, or undefined if it is a miss. */
export async function getText(storage: StorageManager, name: string): Promise<string | undefined> {
  const bytes = await getBytes(storage, name);
  return bytes && new TextDecoder().decode(bytes);
}

/** The tier's own copy as text. */
export function tierText(tier: MapAdapter, name: string): string | undefined {
  const stored = tier.objects.get(`\0${name}`);
  return stored && new TextDecoder().decode(stored.bytes);
}

/** `length` bytes that differ by position and seed. */
export function pattern(length: number, seed: number = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = (index * 31 + seed * 17 + (index >> 8)) & 0xff;
  return bytes;
}
