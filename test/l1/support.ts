import { expect } from "bun:test";
import { compareKeys } from "../../src/core/object.ts";
import type { EventMap } from "../../src/events/catalogue.ts";
import { allocateArena, Arena, type ArenaMemory } from "../../src/l1/arena/arena.ts";
import { FIELD, FLAG, STATE } from "../../src/l1/arena/entry.ts";
import { EntryList } from "../../src/l1/arena/entry_list.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import { type ArenaOptions, COUNTER, LIST, policyList } from "../../src/l1/arena/layout.ts";
import { LEASE } from "../../src/l1/arena/lease_table.ts";
import { type L1Options, openTables } from "../../src/l1/tables.ts";
import type { KeyRange, Resident, Staging, WriteCommit, WriteRefusal, WriteRequest } from "../../src/l1/l1.ts";

export const MIB = 1024 * 1024;

/** An event as it was published. */
export interface Told {
  readonly name: keyof EventMap;
  readonly fields: EventMap[keyof EventMap];
}

/** A clock that stands until it is set. */
export class FakeClock {
  now = 1_000_000;
  /** How far wall time was set forward. */
  stepMs = 0;

  nowMs(): number {
    return this.now + this.stepMs;
  }

  monotonicMs(): number {
    return this.now;
  }
}

/** An L1 of 1 MiB with a fake clock, and what it published. */
export function makeL1(
  arena: Partial<ArenaOptions> = {},
  options: Partial<L1Options> & { readonly sharing?: "shared" | "private" } = {},
): { l1: L1Manager; clock: FakeClock; told: Told[]; memory: ArenaMemory } {
  const memory = allocateArena(
    { sizeBytes: MIB, maxObjects: 1000, maxLeases: 256, hashSeed: 7, ...arena },
    options.sharing,
  );
  const clock = new FakeClock();
  const told: Told[] = [];
  const l1 = new L1Manager(memory, {
    workerId: 1,
    clock,
    publish: (name, fields) => void told.push({ name, fields }),
    policy: "s3-fifo",
    admissionLimitBytes: memory.options.sizeBytes / 8,
    readLeaseMs: 1000,
    writeLeaseMs: 2000,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: true,
    ...options,
  });
  return { l1, clock, told, memory };
}

export function request(key: string, sizeBytes: number, more: Partial<WriteRequest> = {}): WriteRequest {
  return { key: { tenant: "", key }, sizeBytes, contentType: "", sha256: "", ...more };
}

export function staging(result: Staging | WriteRefusal | undefined): Staging {
  if (typeof result !== "object") throw new Error(`expected a staging: ${result}`);
  return result;
}

export function resident(result: Resident | undefined): Resident {
  if (result === undefined) throw new Error("expected a resident");
  return result;
}

export function commit(staged: Staging, sizeBytes: number, more: Partial<WriteCommit> = {}): WriteCommit {
  return { lease: staged.lease, sizeBytes, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, ...more };
}

/** Writes `bytes` from the start of `extents`. */
export function fill(extents: readonly Uint8Array[], bytes: Uint8Array): void {
  let at = 0;
  for (const extent of extents) {
    const part = bytes.subarray(at, at + extent.length);
    extent.set(part);
    at += part.length;
  }
  expect(at).toBe(bytes.length);
}

/** All bytes of `extents`, copied. */
export function bytesOf(extents: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(extents.flatMap((extent) => [...extent]));
}

/** Stages and admits an object of text in one go. */
export function put(l1: L1Manager, key: string, text: string, more: Partial<WriteRequest & WriteCommit> = {}): void {
  const bytes = new TextEncoder().encode(text);
  const [result] = l1.reserveWrite([request(key, bytes.length, more)], "put");
  fill(staging(result).extents, bytes);
  expect(l1.finishWrite([commit(staging(result), bytes.length, more)], "replace")).toEqual(["admitted"]);
}

/** Removes all objects, or one tenant's; how many. */
export function clear(l1: L1Manager, tenant?: string, which: "all" | "clean" = "all"): number {
  return l1.clear(tenant, which).reduce((sum, removed) => sum + removed, 0);
}

/** The keys of a range, in order. */
export function keysOf(l1: L1Manager, range: Partial<KeyRange> = {}): readonly string[] {
  const all = { tenant: "", prefix: "", after: "", ...range };
  return [...l1.keys(() => all)].flat().sort(compareKeys);
}

/** Reads an object as text and gives the lease back; undefined if it is not there. */
export function get(l1: L1Manager, key: string, tenant = ""): string | undefined {
  const [found] = l1.reserveRead([{ tenant, key }]);
  if (found === undefined) return undefined;
  const text = new TextDecoder().decode(bytesOf(found.extents));
  expect(l1.finishRead([found.lease])).toEqual([true]);
  return text;
}

/** `expect` for checks that run a hundred thousand times. */
export function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`the tables do not reconcile: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }
}

/** Checks every table of an arena against every other; throws on the first thing that does not reconcile. */
export function audit(memory: ArenaMemory, policy: "s3-fifo" | "lru" = "s3-fifo"): void {
  const tables = openTables(new Arena(memory), { workerId: 99, policy, format: false });
  const { arena, counters, allocator, entries, leases, hits } = tables;
  const blocks = [...allocator.blocks()].sort((a, b) => a.start - b.start);
  let end = 0;
  let wasFree = false;
  let free = 0;
  for (const block of blocks) {
    same(block.start, end);
    const startsSegment = block.start % arena.layout.segmentGranules === 0;
    if (block.free && wasFree && !startsSegment) throw new Error(`two free blocks side by side at ${block.start}`);
    end += block.length;
    wasFree = block.free;
    if (block.free) free += block.length;
  }
  same(end, arena.layout.granules);
  same(counters.get(COUNTER.freeGranules), free);

  const owned = new Set<number>();
  const linked = new Set<number>();
  const pins = new Map<number, number>();
  const writers = new Map<number, number>();
  let readLeases = 0;
  let holds = 0;
  let heldGranules = 0;
  let rows = 0;
  for (const lease of leases.live(() => true)) {
    rows++;
    if (lease.kind === LEASE.write) writers.set(lease.entry, lease.slot);
    else {
      pins.set(lease.entry, (pins.get(lease.entry) ?? 0) + lease.count);
      if (lease.kind === LEASE.read) readLeases += lease.count;
      else {
        holds++;
        heldGranules += entries.get(lease.entry, FIELD.granules);
      }
    }
  }
  same([counters.get(COUNTER.holds), counters.get(COUNTER.heldGranules)], [holds, heldGranules]);
  same([counters.get(COUNTER.leaseRows), counters.get(COUNTER.readLeases), counters.get(COUNTER.writeLeases)], [
    rows,
    readLeases,
    writers.size,
  ]);
  for (const entry of hits.pinAll(() => false)) pins.set(entry, (pins.get(entry) ?? 0) + 1);
  let residents = 0;
  let stagingGranules = 0;
  let payloadBytes = 0;
  for (let entry = 0; entry < entries.top; entry++) {
    const state = entries.get(entry, FIELD.state);
    if (state === STATE.free) continue;
    for (let block = entries.get(entry, FIELD.extents); block !== -1; block = allocator.next(block)) {
      if (owned.has(block)) throw new Error(`block ${block} belongs to two objects`);
      owned.add(block);
    }
    same(entries.get(entry, FIELD.granules), allocator.chainLength(entries.get(entry, FIELD.extents)));
    same(entries.get(entry, FIELD.pins), pins.get(entry) ?? 0);
    pins.delete(entry);
    if (entries.hasFlag(entry, FLAG.linked)) linked.add(entry);
    if (state === STATE.detached) same(entries.get(entry, FIELD.pins) > 0, true);
    if (state === STATE.staging) {
      same(writers.get(entry), entries.get(entry, FIELD.writer));
      stagingGranules += entries.get(entry, FIELD.granules);
    }
    if (state !== STATE.resident) continue;
    residents++;
    payloadBytes += entries.getDouble(entry, FIELD.sizeBytes);
    same(linked.has(entry), true);
  }
  same(pins.size, 0);
  same(owned.size, blocks.filter((block) => !block.free).length);
  same([counters.get(COUNTER.residents), counters.get(COUNTER.stagingGranules), counters.payloadBytes], [
    residents,
    stagingGranules,
    payloadBytes,
  ]);

  for (let bucket = 0; bucket < arena.layout.buckets; bucket++) {
    let entry = arena.words[arena.layout.at.buckets + bucket] ?? -1;
    for (; entry !== -1; entry = entries.get(entry, FIELD.chain)) same(linked.delete(entry), true);
  }
  same(linked.size, 0);
  const accounts = Array.from({ length: tables.quotas.top + 1 }, (_, account) => account);
  const lists = (policy === "lru" ? [0] : [0, 1]).map((number) =>
    accounts.map((account) => new EntryList(arena, entries, policyList(account, number)))
  );
  same(lists.flat().reduce((sum, list) => sum + list.count, 0), residents);
  auditQuotas(tables, lists);

  const links = { newer: FIELD.laterAdmitted, older: FIELD.earlierAdmitted };
  const admissions = new EntryList(arena, entries, LIST.admissions, links);
  let admitted = 0;
  let lastMs = -Infinity;
  for (let entry = admissions.tail; entry !== -1; entry = entries.get(entry, FIELD.laterAdmitted)) {
    same([entries.get(entry, FIELD.state), lastMs <= entries.getDouble(entry, FIELD.admittedMs)], [
      STATE.resident,
      true,
    ]);
    lastMs = entries.getDouble(entry, FIELD.admittedMs);
    admitted++;
  }
  same([admitted, admissions.count], [residents, residents]);
  auditDirty(tables);
}

/** What each account uses, which entries are in it, and that its lists have its entries. */
function auditQuotas(
  { entries, quotas, counters }: ReturnType<typeof openTables>,
  lists: readonly (readonly EntryList[])[],
): void {
  const granules = new Map<number, number>();
  for (let entry = 0; entry < entries.top; entry++) {
    if (entries.get(entry, FIELD.state) === STATE.free) continue;
    const account = entries.accountOf(entry);
    same(quotas.isAccount(account), true);
    granules.set(account, (granules.get(account) ?? 0) + entries.get(entry, FIELD.granules));
  }
  for (let account = 1; account <= counters.get(COUNTER.quotasTop); account++) {
    same(quotas.granulesOf(account), granules.get(account) ?? 0);
  }
  for (const [account, list] of lists.flatMap((each) => [...each.entries()])) {
    for (let entry = list.tail; entry !== -1; entry = entries.get(entry, FIELD.newer)) {
      same(entries.accountOf(entry), account);
    }
  }
  if (quotas.pass() !== undefined) return;
  const known = new Map(quotas.all().map(({ tenant }) => [tenant, quotas.accountOf(tenant)]));
  for (let entry = 0; entry < entries.top; entry++) {
    if (entries.get(entry, FIELD.state) === STATE.free) continue;
    same(entries.accountOf(entry), known.get(entries.tenantOf(entry)) ?? 0);
  }
}

/** Who waits for a store and who is being stored, by flags, leases and lists. */
function auditDirty({ arena, entries, leases, dirty }: ReturnType<typeof openTables>): void {
  const flagged = { waiting: new Set<number>(), storing: new Set<number>() };
  for (let entry = 0; entry < entries.top; entry++) {
    const state = entries.get(entry, FIELD.state);
    if (state === STATE.free) continue;
    if (entries.hasFlag(entry, FLAG.storing)) flagged.storing.add(entry);
    else if (entries.hasFlag(entry, FLAG.dirty)) flagged.waiting.add(entry);
    if (entries.hasFlag(entry, FLAG.dirty)) same(state, STATE.resident);
  }
  const held = [...leases.live((deadlineMs) => deadlineMs === Infinity)].map(({ entry }) => entry);
  same(held.toSorted((a, b) => a - b), [...flagged.storing].toSorted((a, b) => a - b));
  const links = { newer: FIELD.laterDirty, older: FIELD.earlierDirty };
  let bytes = 0;
  for (const [number, wanted] of [[LIST.waiting, flagged.waiting], [LIST.storing, flagged.storing]] as const) {
    const list = new EntryList(arena, entries, number, links);
    same(list.count, wanted.size);
    for (let entry = list.tail; entry !== -1; entry = entries.get(entry, FIELD.laterDirty)) {
      same(wanted.delete(entry), true);
      bytes += entries.getDouble(entry, FIELD.sizeBytes);
    }
    same(wanted.size, 0);
  }
  same(dirty.usage().bytes, bytes);
}
