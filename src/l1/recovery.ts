import type { KeyBytes } from "./arena/key_bytes.ts";
import { FIELD, FLAG, STATE } from "./arena/entry.ts";
import type { EntryTable } from "./arena/entry_table.ts";
import { COUNTER, GRANULE_BYTES } from "./arena/layout.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { Lifecycle, Parts } from "./lifecycle.ts";
import type { Quotas } from "./quotas.ts";
import type { Tables } from "./tables.ts";
import type { SharedLock } from "./lock.ts";

const NONE = -1;

/**
 * The claims on each entry: its number of read leases, holds and hits, whether one has no deadline (the object is being
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
export function repair({ tables, lifecycle, quotas, key }: {
  readonly tables: Tables;
  readonly quotas: Quotas;
  readonly lifecycle: Lifecycle;
  readonly key: KeyBytes;
}): void {
  const { entries, leases, hits } = tables;
  const claims = claimsOf(tables);
  const chains = soundChains(tables);
  for (let entry = 0; entry < entries.top; entry++) settle(tables, entry, { claims, chains });
  const isUsed = (entry: number) => entry >= 0 && entry < entries.top && entries.get(entry, FIELD.state) !== STATE.free;
  hits.unpinAll((entry) => !isUsed(entry));
  leases.rebuild(({ slot, kind, entry }) =>
    isUsed(entry) && (kind !== LEASE.write || entries.get(entry, FIELD.writer) === slot)
  );
  entries.rebuild();
  tables.allocator.rebuild(blocksInOrder(tables, chains));
  const residents = recount(tables);
  quotas.repair();
  tables.policy.rebuild(residents);
  tables.admissions.rebuild(residents);
  tables.dirty.rebuild(dirtyOf(tables));
  for (const entry of residents) {
    if (entries.get(entry, FIELD.writer) === NONE || entries.get(entry, FIELD.state) !== STATE.resident) continue;
    entries.loadKey(entry, key);
    lifecycle.finishAdmission(entry, key);
  }
}

function claimsOf({ entries, leases, hits }: Tables): Claims {
  const pins = new Int32Array(entries.top);
  const endless = new Uint8Array(entries.top);
  const writers = new Int32Array(entries.top).fill(NONE);
  for (const { slot, kind, entry, count, deadlineMs } of leases.live(() => true)) {
    if (deadlineMs === Infinity) endless[entry] = 1;
    if (kind === LEASE.write) writers[entry] = slot;
    else pins[entry] = (pins[entry] ?? 0) + count;
  }
  for (const entry of hits.pinAll((each) => mayBeHit(entries, each))) pins[entry] = (pins[entry] ?? 0) + 1;
  return { pins, endless, writers };
}

/** True if a thread that has announced the entry may be reading it; otherwise it has yet to see that it must not. */
function mayBeHit(entries: EntryTable, entry: number): boolean {
  const state = entries.get(entry, FIELD.state);
  return (state === STATE.resident || state === STATE.detached) && !entries.hasFlag(entry, FLAG.temporary);
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
    entries.setState(entry, STATE.free);
    return;
  }
  if (!isStaging && !isResident) {
    entries.setState(entry, STATE.detached);
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

/**
 * Time for which the memory of a thread that cannot be stopped is kept unchanged. A runtime that was asked to end the
 * thread does so within 2 s of its next step.
 */
const AFTERLIFE_MS = 5000;

/**
 * Ends a worker for good: fences it and expires its leases. The next thread to take the lock from it repairs the
 * tables. With `stillRuns`, its thread may still be working: its stagings are hidden at once, but its leased memory
 * stays unchanged for some seconds.
 */
export async function takeOver(
  { parts, lock, mend }: { readonly parts: Parts; readonly lock: SharedLock; readonly mend: () => void },
  workerId: number,
  stillRuns: boolean,
): Promise<void> {
  lock.fence(workerId, !stillRuns);
  let dead = lock.tryAcquire();
  // Does not block: the lock may be held by another dead thread, whose death this one has not noticed yet.
  for (; dead === undefined; dead = lock.tryAcquire()) await lock.pause();
  try {
    if (dead !== 0) mend();
    parts.lifecycle.giveDirtyBack(workerId);
    const isTheirs = (_deadlineMs: number, of: number) => of === workerId;
    if (stillRuns) {
      const untilMs = parts.options.clock.monotonicMs() + AFTERLIFE_MS;
      parts.lifecycle.disown(isTheirs, untilMs);
      parts.tables.hits.disown(workerId, untilMs);
    } else {
      parts.lifecycle.expireLeases(isTheirs);
      parts.lifecycle.endHit(workerId);
    }
  } finally {
    lock.release();
    parts.events.publish();
  }
}
