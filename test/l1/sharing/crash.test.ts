import { test } from "bun:test";
import * as fc from "fast-check";
import { allocateArena, Arena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { FIELD, FLAG, STATE } from "../../../src/l1/arena/entry.ts";
import { KeyBytes } from "../../../src/l1/arena/key_bytes.ts";
import { openTables, type Tables } from "../../../src/l1/tables.ts";
import type { RemovalReason } from "../../../src/l1/l1.ts";
import type { L1Manager } from "../../../src/l1/l1_manager.ts";
import { Actor, hasBytes, headersOf, keyOf, KEYS, openManager, type OpenRead, Random } from "./crash_world.ts";
import { audit, clear, FakeClock } from "../support.ts";
import { WriteRecorder } from "./write_recorder.ts";

const DEAD = 2;
const OTHER = 3;
const MAIN = 1;
const HITTER = 4;
const KIB = 1024;
const runs = Number(process.env["L1_CRASH_RUNS"] ?? 2);

function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Error(what());
}

/** The versions that a reader finds, by key; throws on a wrong byte or header. */
function visible(l1: L1Manager): Map<string, number> {
  const found = new Map<string, number>();
  for (const key of KEYS) {
    const [resident] = l1.reserveRead([keyOf(key)]);
    if (resident === undefined) continue;
    const { version, headers = "" } = resident.meta;
    check(headers === headersOf(version), () => `wrong headers of ${key}: ${headers}`);
    let at = 0;
    for (const extent of resident.extents) {
      check(hasBytes(extent, version, at), () => `a wrong byte after byte ${at} of ${key}`);
      at += extent.length;
    }
    check(at === resident.meta.sizeBytes, () => `${key} has ${at} bytes instead of ${resident.meta.sizeBytes}`);
    found.set(key, version);
    l1.finishRead([resident.lease]);
  }
  return found;
}

/** Gives back what can still be given back of a thread's read leases; which these were. */
function endReads(memory: ArenaMemory, l1: L1Manager, reads: readonly OpenRead[]): Set<OpenRead> {
  return new Set(reads.filter((read) => {
    const [wasHeld = false] = l1.finishRead([read.lease], 99);
    if (wasHeld) checkRead(memory, read);
    return wasHeld;
  }));
}

function checkRead(memory: ArenaMemory, { places, version }: Omit<OpenRead, "lease">): void {
  const segment = new Uint8Array(memory.segments[0] ?? new ArrayBuffer(0));
  let at = 0;
  for (const place of places) {
    const part = segment.subarray(place.at, place.at + place.length);
    check(hasBytes(part, version, at), () => `a wrong byte after byte ${at} of a leased object`);
    at += part.length;
  }
}

type Policy = "s3-fifo" | "lru";

/** An operation that has ended, of the thread that will die. */
interface Step {
  readonly recorder: WriteRecorder;
  readonly other: Actor;
  readonly hitter: Hitter;
  readonly clock: FakeClock;
  readonly policy: Policy;
  readonly before: Seen;
  /** What the thread's listener was told in it: the key, and how many writes had gone before. */
  readonly left: readonly Left[];
  /** Whether a version leaves with its last reader, which is no loss. */
  readonly isTemporary: (version: number) => boolean;
}

interface Left {
  readonly key: string;
  readonly reason: RemovalReason;
  readonly writes: number;
}

/**
 * A thread that stays in the middle of a hit while others do things: it has announced an entry and seen that it is
 * resident, as src/l1/hits.ts does.
 */
class Hitter {
  readonly #memory: ArenaMemory;
  readonly #policy: Policy;
  readonly #tables: Tables;
  #hit: { readonly entry: number; readonly read: Omit<OpenRead, "lease"> } | undefined;

  constructor(memory: ArenaMemory, policy: Policy) {
    this.#memory = memory;
    this.#policy = policy;
    this.#tables = openTables(new Arena(memory), { workerId: HITTER, policy, format: false });
    this.#tables.hits.claim();
  }

  /** Ends the hit and begins another one. */
  next(key: string): void {
    const { entries, hits } = this.#tables;
    if (this.#hit !== undefined && !hits.end(this.#hit.entry)) {
      const clock = new FakeClock();
      // Gives the pin back, as the hitter itself would.
      void openManager(this.#memory, { workerId: MAIN, clock, policy: this.#policy }).takeOver(HITTER);
      check(hits.claim(), () => "no row is left");
    }
    const bytes = new KeyBytes(this.#memory.options.hashSeed);
    bytes.set(keyOf(key));
    const entry = entries.guessResident(bytes);
    this.#hit = undefined;
    if (entry === -1 || entries.hasFlag(entry, FLAG.temporary)) return;
    hits.begin(entry);
    const extents = entries.viewsOf(entry, entries.getDouble(entry, FIELD.sizeBytes));
    const places = extents.map(({ byteOffset, length }) => ({ at: byteOffset, length }));
    this.#hit = { entry, read: { version: entries.getDouble(entry, FIELD.version), places } };
  }

  /** The bytes are there, and the entry is not free, in a copy of the memory. */
  check(memory: ArenaMemory): void {
    if (this.#hit === undefined) return;
    checkRead(memory, this.#hit.read);
    const { entries } = openTables(new Arena(memory), { workerId: HITTER, policy: this.#policy, format: false });
    check(entries.get(this.#hit.entry, FIELD.state) !== STATE.free, () => "what is being hit is free");
  }
}

/** A run of random operations of two threads; `each` is called after every operation of the one that will die. */
async function play(
  { seed, steps, policy }: { readonly seed: number; readonly steps: number; readonly policy: Policy },
  each: (step: Step) => Promise<void>,
): Promise<void> {
  const memory = allocateArena(
    { sizeBytes: 64 * KIB, maxObjects: 12, maxLeases: 24, maxQuotas: 2, hashSeed: 7 },
    "private",
  );
  const clock = new FakeClock();
  const random = new Random(seed);
  let version = 0;
  const nextVersion = () => ++version;
  openManager(memory, { workerId: MAIN, clock, policy, format: true });
  const recorder = new WriteRecorder(memory);
  const left: Left[] = [];
  const onLeft = (key: string, reason: RemovalReason): void => void left.push({ key, reason, writes: recorder.writes });
  const dying = new Actor(openManager(memory, { workerId: DEAD, clock, policy, arena: recorder.arena, onLeft }), {
    clock,
    random,
    tag: "put-2",
    nextVersion,
  });
  const other = new Actor(openManager(memory, { workerId: OTHER, clock, policy }), {
    clock,
    random,
    tag: "put-3",
    nextVersion,
  });
  const isTemporary = (of: number): boolean => dying.temporary.has(of) || other.temporary.has(of);
  const refused = (run: () => void) => {
    try {
      run();
    } catch (error) {
      // All leases taken: a refusal, not a fault.
      if (!(error instanceof Error && error.message.includes("leases are taken"))) throw error;
    }
  };
  const hitter = new Hitter(memory, policy);
  for (let step = 0; step < steps; step++) {
    if (step % 3 === 0) hitter.next(random.pick(KEYS) ?? "a");
    refused(other.next());
    const operation = dying.next();
    const before = await seenWithoutDead(recorder.copy(), { clock, policy, reads: other.reads });
    recorder.restart();
    left.length = 0;
    refused(operation);
    await each({ recorder, other, hitter, clock, policy, before, left, isTemporary });
  }
}

/** What survives a death at any time, as long as both states agree on it. */
interface Seen {
  readonly objects: ReadonlyMap<string, number>;
  readonly held: ReadonlySet<OpenRead>;
}

/** What readers of a copy of the memory find, and which of a thread's read leases are good. Changes the copy. */
function seen(memory: ArenaMemory, { clock, policy, reads }: {
  readonly clock: FakeClock;
  readonly policy: Policy;
  readonly reads: readonly OpenRead[];
}): Seen {
  const objects = visible(openManager(memory, { workerId: MAIN, clock, policy }));
  return { objects, held: endReads(memory, openManager(memory, { workerId: OTHER, clock, policy }), reads) };
}

/** The same after the other thread's death outside any section. */
async function seenWithoutDead(memory: ArenaMemory, how: Parameters<typeof seen>[1]): Promise<Seen> {
  const main = openManager(memory, { workerId: MAIN, ...how });
  await main.takeOver(DEAD);
  check(main.repairs === 0, () => "the dead had the lock");
  return seen(memory, how);
}

function checkCut(cut: Seen, { before, after, living, evicted }: {
  readonly before: Seen;
  readonly after: Seen;
  /** As after, but the thread lives: what it alone keeps is there as well. */
  readonly living: Seen;
  /** The keys that made room, perhaps for a newer object of their own: a write in one step does both. */
  readonly evicted: ReadonlySet<string>;
}): void {
  for (const [key, version] of cut.objects) {
    const isKnown = [before, after, living].some(({ objects }) => objects.get(key) === version);
    check(isKnown, () => `${key} is version ${version} after a cut`);
  }
  for (const key of before.objects.keys()) {
    const mayBeGone = !after.objects.has(key) || evicted.has(key);
    check(cut.objects.has(key) || mayBeGone, () => `${key} is gone after a cut`);
  }
  for (const read of before.held) {
    check(cut.held.has(read) || !after.held.has(read), () => `a lease on version ${read.version} is gone after a cut`);
  }
}

/** Kills the thread after each write of its last operation. */
async function cutEverywhere(step: Step): Promise<void> {
  const { recorder, other, hitter, clock, policy, before, left } = step;
  const reads = other.reads;
  const after = await seenWithoutDead(recorder.copy(), { clock, policy, reads });
  const living = seen(recorder.copy(), { clock, policy, reads });
  for (let cut = 0; cut <= recorder.writes; cut++) {
    const memory = recorder.cutAfter(cut, { lock: recorder.arena.layout.at.lock, workerId: DEAD });
    const leftBefore = left.filter(({ writes }) => writes <= cut);
    const told = new Set(leftBefore.map(({ key }) => key));
    const evicted = new Set(
      leftBefore.filter(({ reason }) => reason === "pressure" || reason === "quota").map(({ key }) => key),
    );
    const main = openManager(memory, { workerId: MAIN, clock, policy, onLeft: (key) => void told.add(key) });
    await main.takeOver(DEAD);
    check(main.repairs === 1, () => "the lock was not taken from the dead");
    audit(memory, policy);
    hitter.check(memory);
    const found = seen(memory, { clock, policy, reads });
    checkCut(found, { before, after, living, evicted });
    for (const [key, version] of before.objects) {
      const isExplained = found.objects.has(key) || told.has(key) || step.isTemporary(version);
      check(isExplained, () => `${key} is gone after a cut, and nobody was told`);
    }
    await main.takeOver(HITTER);
    checkNothingLeaks(memory, main, { other, clock, policy });
  }
}

/** Ends what the living hold, and checks that then all is free. */
function checkNothingLeaks(
  memory: ArenaMemory,
  main: L1Manager,
  { other, clock, policy }: Pick<Step, "other" | "clock" | "policy">,
): void {
  for (const { resident } of main.takeDirty(99)) main.finishRead([resident.lease]);
  main.finishRead(other.taken);
  const survivor = openManager(memory, { workerId: OTHER, clock, policy });
  survivor.abort(other.writes.map(({ lease }) => lease));
  const late = new FakeClock();
  late.now = clock.now + 10_000;
  // Leases that other threads had let go of lapse.
  openManager(memory, { workerId: OTHER, clock: late, policy }).tick();
  clear(survivor);
  audit(memory, policy);
  checkQuotas(memory, survivor, policy);
  const { usedBytes, readLeases, writeLeases, objects } = survivor.usage();
  const left = `${usedBytes} bytes, ${readLeases} and ${writeLeases} leases, ${objects} objects`;
  check(survivor.usage().holds === 0, () => `${survivor.usage().holds} holds are left`);
  check(left === "0 bytes, 0 and 0 leases, 0 objects", () => `${left} are left`);
}

/** Every quota uses nothing now, and one that is ended gives its row to another tenant. */
function checkQuotas(memory: ArenaMemory, survivor: L1Manager, policy: Policy): void {
  for (const _ of survivor.settleQuotas());
  for (const { tenant, usedBytes } of survivor.quotas()) {
    check(usedBytes === 0, () => `"${tenant}" uses ${usedBytes} bytes of its quota`);
    survivor.setQuota(tenant, undefined);
  }
  for (const _ of survivor.settleQuotas());
  for (const tenant of ["x", "y"]) {
    check(survivor.setQuota(tenant, { limitBytes: 1, isStrict: false }), () => "a row of a quota has leaked");
  }
  for (const _ of survivor.settleQuotas());
  audit(memory, policy);
}

for (const policy of ["s3-fifo", "lru"] as const) {
  const name = `takeOver leaves all tables sound and all objects whole when a thread dies after any write (${policy})`;
  test(name, async () => {
    const property = fc.asyncProperty(fc.integer(), (seed) => play({ seed, steps: 60, policy }, cutEverywhere));
    await fc.assert(property, { numRuns: runs, includeErrorInReport: true });
  });
}
