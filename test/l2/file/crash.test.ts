import { expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import process from "node:process";
import { crc32 } from "node:zlib";
import { keyId } from "../../../src/core/object.ts";
import { openOwnFolder, type OwnFolder } from "../../../src/l2/file/adapter.ts";
import { Random } from "../../e2e/support/random.ts";
import { inFolder, key, newBench, pattern, readAll, sourceOf } from "../support.ts";
import { Crash, MEMORY_DISK, SimulatedDisk } from "./simulated_disk.ts";

const SMALL = 700;
const LARGE = 5000;
const KEYS = ["a", "b", "c"];
const TENANTS = ["", "t"];
const OBJECTS = TENANTS.flatMap((tenant) => KEYS.map((name) => key(name, tenant)));
/** The long form: `CRASH_RUNS=20000 bun test test/l2/file/crash.test.ts`. */
const RUNS = Number(process.env["CRASH_RUNS"] ?? 8);
const SEED = process.env["CRASH_SEED"];

interface Step {
  readonly do: "put" | "use" | "delete" | "clear" | "clear tenant" | "tidy" | "reopen";
  readonly name: string;
  readonly tenant: string;
  readonly size: number;
  readonly durable: boolean;
}

/** The contents that a key may have after the crash, by checksum; 0 stands for a miss. */
type Allowed = Map<string, Set<number>>;

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.oneof(
    { weight: 10, arbitrary: fc.constant("put" as const) },
    { weight: 4, arbitrary: fc.constant("delete" as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom("clear" as const, "clear tenant" as const, "use" as const, "reopen" as const),
    },
    { weight: 3, arbitrary: fc.constant("tidy" as const) },
  ),
  name: fc.constantFrom(...KEYS),
  tenant: fc.constantFrom(...TENANTS),
  size: fc.constantFrom(SMALL, SMALL + 1, LARGE),
  durable: fc.boolean(),
});

/** What the disk was when it crashed. */
interface Case {
  readonly steps: readonly Step[];
  readonly crashAt: number;
  readonly limitBytes: number;
}

/** Small segments, so that they fill and are reclaimed. */
const SEGMENT_BYTES = 2500;

function open(path: string, limitBytes: number, simulated?: SimulatedDisk): OwnFolder {
  const settings = { name: "fs", path, limitBytes, sync: true, recordLimitBytes: 1000, segmentBytes: SEGMENT_BYTES };
  return openOwnFolder({ ...newBench(), ...settings, blockingDisk: simulated?.disk });
}

function anything(): Allowed {
  return new Map(OBJECTS.map((each) => [keyId(each), new Set([0])]));
}

/** The objects that a step changes. */
function changedBy({ do: what, name, tenant }: Step): readonly string[] {
  if (what === "put" || what === "delete") return [keyId(key(name, tenant))];
  if (what === "tidy" || what === "reopen" || what === "use") return [];
  return OBJECTS.filter((each) => what === "clear" || each.tenant === tenant).map(keyId);
}

async function make(now: Step, { adapter, store }: OwnFolder, bytes: Uint8Array): Promise<void> {
  const at = key(now.name, now.tenant);
  if (now.do === "put") await adapter.store(at, { ...sourceOf(bytes), durable: now.durable });
  else if (now.do === "delete") await adapter.delete(at);
  else if (now.do === "clear") await adapter.clear();
  else if (now.do === "clear tenant") await adapter.clear(now.tenant);
  else if (now.do === "use") await readAll(await adapter.load(at));
  else if (now.do === "tidy") store.tidy();
}

/** Runs the steps until the disk crashes; adds to what each key may hold then, with and without a power loss. */
async function run(
  { steps, limitBytes }: Case,
  { path, simulated, kill, power }: {
    readonly path: string;
    readonly simulated: SimulatedDisk;
    readonly kill: Allowed;
    readonly power: Allowed;
  },
): Promise<void> {
  let folder: OwnFolder | undefined;
  try {
    folder = open(path, limitBytes, simulated);
    for (const now of steps) {
      simulated.keepIndex();
      if (now.do === "reopen") {
        await folder.adapter.close();
        if (simulated.hasCrashed) break;
        folder = open(path, limitBytes, simulated);
      }
      const ids = changedBy(now);
      const bytes = pattern(now.size, nextSeed());
      const value = now.do === "put" ? crc32(bytes) : 0;
      // Until it is acknowledged it may have happened or not.
      for (const id of ids) for (const allowed of [kill, power]) allowed.get(id)?.add(value);
      // The index may reach the disk before the record that it says replaced another. Whoever stores without durability
      // has been answered before.
      if (now.do === "put" && !now.durable) { for (const id of ids) power.get(id)?.add(0); }
      await make(now, folder, bytes);
      if (simulated.hasCrashed) break;
      // What makes room may take everything that is there.
      const after = limitBytes === 0 ? [value] : [value, 0];
      for (const id of ids) kill.set(id, new Set(after));
      if (now.do !== "put" || now.durable) { for (const id of ids) power.set(id, new Set(after)); }
    }
  } catch (error) {
    if (!simulated.hasCrashed && !(error instanceof Crash)) throw error;
  } finally {
    if (folder !== undefined) dead.push(folder);
  }
}

let lastSeed = 0;

/** Every object that is stored is another. */
function nextSeed(): number {
  lastSeed += 1;
  return lastSeed;
}

/** Folders whose process is taken for dead; they are closed for real, and in vain, when nobody looks any more. */
const dead: OwnFolder[] = [];

/** Frees what a dead process has open; what failed to close has been freed before. */
function bury({ store }: OwnFolder): void {
  try {
    store.abandon("its process is dead");
  } catch (error) {
    if (!(error instanceof Error) || !/not open|closed/.test(error.message)) throw error;
  }
}

/**
 * Opens what the crash has left, and looks that every key holds what it may; afterwards that is all that it may hold.
 */
async function check(path: string, limitBytes: number, allowed: Allowed): Promise<void> {
  const { adapter } = open(path, limitBytes);
  try {
    for (const at of OBJECTS) {
      const bytes = await readAll(await adapter.load(at));
      const value = bytes === undefined ? 0 : crc32(bytes);
      if (allowed.get(keyId(at))?.has(value) !== true) {
        const may = [...allowed.get(keyId(at)) ?? []].join(" or ");
        throw new Error(`${at.tenant}/${at.key} holds ${value}, may hold ${may}`);
      }
      allowed.set(keyId(at), new Set(limitBytes === 0 ? [value] : [value, 0]));
    }
    const { usedBytes } = await adapter.usage();
    if (limitBytes > 0 && usedBytes > limitBytes) throw new Error(`${usedBytes} bytes, limit ${limitBytes}`);
    // What is there can be replaced, whatever the crash left behind.
    for (const at of OBJECTS) {
      const bytes = pattern(SMALL, nextSeed());
      await adapter.store(at, sourceOf(bytes));
      expect(Buffer.compare(await readAll(await adapter.load(at)) ?? pattern(1), bytes)).toBe(0);
      allowed.set(keyId(at), new Set(limitBytes === 0 ? [crc32(bytes)] : [crc32(bytes), 0]));
    }
  } finally {
    await adapter.close();
  }
}

const oneCase: fc.Arbitrary<Case> = fc.record({
  steps: fc.array(step, { minLength: 2, maxLength: 20 }),
  crashAt: fc.nat(90).map((at) => at + 3),
  limitBytes: fc.constantFrom(0, 0, 20_000),
});

test(
  "FileStore keeps every promise when its process is killed or its machine loses power at any step, twice",
  async () => {
    await fc.assert(
      fc.asyncProperty(oneCase, oneCase, fc.nat(), (first, second, seed) =>
        inFolder(async (folder) => {
          const random = new Random(seed);
          const pick = (choices: number): number => random.below(choices);
          const path = join(folder, "tier");
          const { limitBytes } = first;
          for (const loss of ["kill", "power"] as const) {
            const [kill, power] = [anything(), anything()];
            let at = `${path}.${loss}`;
            for (const { steps, crashAt } of [first, second]) {
              const simulated = new SimulatedDisk(at, crashAt);
              await run({ steps, crashAt, limitBytes }, { path: at, simulated, kill, power });
              const left = loss === "kill" ? simulated.afterKill() : simulated.afterPowerLoss(pick);
              const allowed = loss === "kill" ? kill : power;
              await check(left, limitBytes, allowed);
              for (const id of allowed.keys()) for (const each of [kill, power]) each.set(id, new Set(allowed.get(id)));
              for (const gone of dead.splice(0)) bury(gone);
              at = left;
            }
          }
        }, MEMORY_DISK)),
      { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
    );
  },
  RUNS * 5000 + 60_000,
);
