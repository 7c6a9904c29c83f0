import { expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { FileStore } from "../../../src/l2/file/file_store.ts";
import { openOwnFolder } from "../../../src/l2/file.ts";
import { Random } from "../../e2e/support/random.ts";
import { inFolder, key, newBench, pattern, readAll, sourceOf } from "../support.ts";
import { Crash, SimulatedDisk } from "./simulated_disk.ts";

const SMALL = 700;
const LARGE = 5000;
const KEYS = ["a", "b", "c"];

interface Step {
  readonly do: "put" | "delete" | "clear" | "tidy" | "reopen";
  readonly name: string;
  readonly size: number;
  readonly durable: boolean;
}

/** The contents that a key may have after the crash, by checksum; 0 stands for a miss. */
type Allowed = Map<string, Set<number>>;

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.oneof(
    { weight: 10, arbitrary: fc.constant("put" as const) },
    { weight: 4, arbitrary: fc.constant("delete" as const) },
    { weight: 1, arbitrary: fc.constantFrom("clear" as const, "tidy" as const) },
  ),
  name: fc.constantFrom(...KEYS),
  size: fc.constantFrom(SMALL, SMALL + 1, LARGE),
  durable: fc.boolean(),
});

function open(path: string, simulated?: SimulatedDisk, limitBytes = 0) {
  const settings = { name: "fs", path, limitBytes, sync: true, recordLimitBytes: 1000 };
  return openOwnFolder({ ...newBench(), ...settings, blockingDisk: simulated?.disk });
}

/** Runs the steps until the disk crashes; returns what each key may hold then, with and without a power loss. */
async function run(
  steps: readonly Step[],
  simulated: SimulatedDisk,
  path: string,
): Promise<{ kill: Allowed; power: Allowed }> {
  const kill: Allowed = new Map(KEYS.map((name) => [name, new Set([0])]));
  const power: Allowed = new Map(KEYS.map((name) => [name, new Set([0])]));
  let store: FileStore | undefined;
  try {
    const folder = open(path, simulated);
    store = folder.store;
    for (const [at, now] of steps.entries()) {
      simulated.keepIndex();
      const names = now.do === "clear" ? KEYS : now.do === "tidy" ? [] : [now.name];
      const bytes = pattern(now.size, at + 1);
      const value = now.do === "put" ? crc32(bytes) : 0;
      // Until it is acknowledged it may have happened or not.
      for (const name of names) for (const allowed of [kill, power]) allowed.get(name)?.add(value);
      if (now.do === "put") {
        await folder.adapter.store(key(now.name), { ...sourceOf(bytes), durable: now.durable });
      } else if (now.do === "delete") await folder.adapter.delete(key(now.name));
      else if (now.do === "clear") await folder.adapter.clear();
      else folder.store.tidy();
      if (simulated.hasCrashed) break;
      for (const name of names) kill.set(name, new Set([value]));
      if (now.do !== "put" || now.durable) { for (const name of names) power.set(name, new Set([value])); }
    }
  } catch (error) {
    expect(simulated.hasCrashed || error instanceof Crash).toBe(true);
  }
  opened.push(store);
  return { kill, power };
}

/** Stores whose process is taken for dead; they are closed for real, and in vain, when nobody looks any more. */
const opened: (FileStore | undefined)[] = [];

async function check(path: string, allowed: Allowed): Promise<void> {
  const { adapter } = open(path);
  try {
    for (const name of KEYS) {
      const bytes = await readAll(await adapter.load(key(name)));
      const value = bytes === undefined ? 0 : crc32(bytes);
      if (allowed.get(name)?.has(value) !== true) {
        throw new Error(`${name} holds ${value}, may hold ${[...allowed.get(name) ?? []].join(" or ")}`);
      }
      // What is there can be replaced, whatever the crash left behind.
      await adapter.store(key(name), sourceOf(pattern(SMALL, 99)));
      expect(Buffer.compare(await readAll(await adapter.load(key(name))) ?? pattern(1), pattern(SMALL, 99))).toBe(0);
    }
  } finally {
    await adapter.close();
  }
}

test("FileStore keeps every promise when its process is killed or its machine loses power at any step", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 2, maxLength: 10 }),
      fc.nat(60),
      fc.nat(),
      (steps, crashAt, seed) =>
        inFolder(async (folder) => {
          const path = join(folder, "tier");
          const simulated = new SimulatedDisk(path, crashAt + 3);
          const allowed = await run(steps, simulated, path);
          const random = new Random(seed);
          await check(simulated.afterKill(), allowed.kill);
          await check(simulated.afterPowerLoss((choices) => random.below(choices)), allowed.power);
          for (const store of opened.splice(0)) await store?.close().catch(() => undefined);
          simulated.remove();
        }),
    ),
    { numRuns: 30 },
  );
}, 60_000);
