import type { KeyBytes } from "../arena/key_bytes.ts";
import { FIELD, FLAG, STATE } from "../arena/entry_table.ts";
import { COUNTER, GRANULE_BYTES } from "../arena/layout.ts";
import { LEASE } from "../arena/lease_table.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { Tables } from "../arena/tables.ts";

const NONE = -1;

/**
 * The leases' claims on each entry: its number of read leases, whether one has no deadline (the object is being
 * stored), and the slot of its writer (-1: none).
 */
interface Claims {
  readonly pins: Int32Array;
  readonly endless: Uint8Array;
  readonly writers: Int32Array;
}

/**
 * Repairs the tables after a critical section that was interrupted at any write. The source of truth: the entries'
 * state words, flags and chains, and the leases. Everything else is rebuilt from them. A half-created entry, or one
 * whose chain is broken, is dropped; a half-removed one is removed; an admission that had become visible is finished.
 * The caller holds the arena's lock.
 */
export function repair({ tables, lifecycle, key }: {
  readonly tables: Tables;
  readonly lifecycle: Lifecycle;
  readonly key: KeyBytes;
}): void {
  const { entries, leases } = tables;
  const claims = claimsOf(tables);
  const chains = soundChains(tables);
  for (let entry = 0; entry < entries.top; entry++) settle(tables, entry, { claims, chains });
  const isUsed = (entry: number) => entry >= 0 && entry < entries.top && entries.get(entry, FIELD.state) !== STATE.free;
  leases.rebuild(({ slot, kind, entry }) =>
    isUsed(entry) && (kind === LEASE.read || (kind === LEASE.write && entries.get(entry, FIELD.writer) === slot))
  );
  entries.rebuild();
  tables.allocator.rebuild(blocksInOrder(tables, chains));
  const residents = recount(tables);
  tables.policy.rebuild(residents);
  tables.admissions.rebuild(residents);
  tables.dirty.rebuild(dirtyOf(tables));
  for (const entry of residents) {
    if (entries.get(entry, FIELD.writer) === NONE || entries.get(entry, FIELD.state) !== STATE.resident) continue;
    entries.loadKey(entry, key);
    lifecycle.finishAdmission(entry, key);
  }
}

function claimsOf({ entries, leases }: Tables): Claims {
  const pins = new Int32Array(entries.top);
  const endless = new Uint8Array(entries.top);
  const writers = new Int32Array(entries.top).fill(NONE);
  for (const { slot, kind, entry, count, deadlineMs } of leases.live(() => true)) {
    if (deadlineMs === Infinity) endless[entry] = 1;
    if (kind === LEASE.read) pins[entry] = (pins[entry] ?? 0) + count;
    else if (kind === LEASE.write) writers[entry] = slot;
  }
  return { pins, endless, writers };
}

/** The chain of every entry in use; undefined if it is broken, too short for the object, or overlaps another one. */
function soundChains(tables: Tables): (readonly number[] | undefined)[] {
  const { arena: { layout }, allocator, entries } = tables;
  const chains: (readonly number[] | undefined)[] = [];
  for (let entry = 0; entry < entries.top; entry++) {
    const isUsed = entries.get(entry, FIELD.state) !== STATE.free;
    const chain = isUsed ? allocator.chainOf(entries.get(entry, FIELD.extents)) : undefined;
    chains.push(chain !== undefined && holdsObject(tables, entry, chain) ? chain : undefined);
  }
  const owners = new Int32Array(layout.maxBlocks).fill(NONE);
  const contested = new Set<number>();
  const ordered = inAddressOrder(tables, chains, (block, entry) => {
    const other = owners[block] ?? NONE;
    if (other !== NONE) contested.add(other).add(entry);
    owners[block] = entry;
  });
  let end = 0;
  let last = NONE;
  for (const block of ordered) {
    const owner = owners[block] ?? NONE;
    if (allocator.start(block) < end) {
      contested.add(owner).add(last);
    }
    const blockEnd = allocator.start(block) + allocator.length(block);
    if (blockEnd > end) {
      end = blockEnd;
      last = owner;
    }
  }
  for (const entry of contested) chains[entry] = undefined;
  return chains;
}

function holdsObject({ allocator, entries }: Tables, entry: number, chain: readonly number[]): boolean {
  const [first = NONE] = chain;
  if (allocator.start(first) !== entries.get(entry, FIELD.start)) return false;
  if (entries.get(entry, FIELD.state) === STATE.staging) return true;
  const granules = chain.reduce((sum, block) => sum + allocator.length(block), 0);
  return granules * GRANULE_BYTES >= entries.headBytesOf(entry) + entries.getDouble(entry, FIELD.sizeBytes);
}

/** Decides the state of one entry and writes its row. */
function settle(
  { allocator, entries }: Tables,
  entry: number,
  { claims, chains }: { readonly claims: Claims; readonly chains: readonly (readonly number[] | undefined)[] },
): void {
  const state = entries.get(entry, FIELD.state);
  if (state === STATE.free) return;
  const pins = claims.pins[entry] ?? 0;
  const writer = claims.writers[entry] ?? NONE;
  const isLinked = entries.hasFlag(entry, FLAG.linked);
  const wasLastRead = pins === 0 && entries.get(entry, FIELD.pins) > 0 && entries.hasFlag(entry, FLAG.temporary) &&
    !entries.hasFlag(entry, FLAG.dirty);
  const isStaging = state === STATE.staging && writer !== NONE;
  const isResident = state === STATE.resident && isLinked && !wasLastRead;
  const chain = chains[entry];
  if (chain === undefined || !(isStaging || isResident || pins > 0)) {
    entries.set(entry, FIELD.state, STATE.free);
    return;
  }
  if (!isStaging && !isResident) {
    entries.set(entry, FIELD.state, STATE.detached);
    entries.clearFlag(entry, FLAG.linked);
  }
  if (!isResident) entries.clearFlag(entry, FLAG.dirty);
  if (claims.endless[entry] === 1) entries.setFlag(entry, FLAG.storing);
  else entries.clearFlag(entry, FLAG.storing);
  entries.set(entry, FIELD.pins, pins);
  entries.set(entry, FIELD.writer, isStaging || isResident ? writer : NONE);
  entries.set(entry, FIELD.granules, chain.reduce((sum, block) => sum + allocator.length(block), 0));
}

function blocksInOrder(tables: Tables, chains: readonly (readonly number[] | undefined)[]): Iterable<number> {
  const { entries } = tables;
  const kept = chains.map((chain, entry) => entries.get(entry, FIELD.state) === STATE.free ? undefined : chain);
  return inAddressOrder(tables, kept, () => {});
}

/** All blocks of the chains, by start address. `each` is called with every block and its entry. */
function* inAddressOrder(
  { arena: { layout }, allocator }: Tables,
  chains: readonly (readonly number[] | undefined)[],
  each: (block: number, entry: number) => void,
): Generator<number> {
  // Start and row fit in one float64, which sorts natively.
  const packed: number[] = [];
  for (const [entry, chain] of chains.entries()) {
    for (const block of chain ?? []) {
      packed.push(allocator.start(block) * layout.maxBlocks + block);
      each(block, entry);
    }
  }
  for (const value of Float64Array.from(packed).sort()) yield value % layout.maxBlocks;
}

/** The dirty entries: those that wait, and those that are being stored. */
function dirtyOf({ entries }: Tables): readonly number[] {
  const found: number[] = [];
  for (let entry = 0; entry < entries.top; entry++) {
    const isUsed = entries.get(entry, FIELD.state) !== STATE.free;
    if (isUsed && entries.hasFlag(entry, FLAG.dirty | FLAG.storing)) found.push(entry);
  }
  return found;
}

/** Recounts the entries and returns the residents. */
function recount({ entries, counters }: Tables): readonly number[] {
  const residents: number[] = [];
  let stagingGranules = 0;
  let payloadBytes = 0;
  for (let entry = 0; entry < entries.top; entry++) {
    const state = entries.get(entry, FIELD.state);
    if (state === STATE.staging) stagingGranules += entries.get(entry, FIELD.granules);
    if (state !== STATE.resident) continue;
    residents.push(entry);
    payloadBytes += entries.getDouble(entry, FIELD.sizeBytes);
  }
  counters.set(COUNTER.stagingGranules, stagingGranules);
  counters.set(COUNTER.residents, residents.length);
  counters.payloadBytes = payloadBytes;
  return residents;
}
