/**
 * What L1 costs, printed: hits a second of one thread (reserveRead + finishRead of one key), writes of 4 KiB, control
 * memory for one object, and the payload's share of the arena after ten turnovers. `bun bench/l1.ts` or `deno run -A
 * bench/l1.ts`. `--threads 2`: hits of one thread and of so many at once instead (`--rounds N`, `--json`). `--repair`:
 * how long a repair takes. `--list`: what a page of a listing costs, and for how long it keeps others from their turn.
 */
import { systemClock } from "../src/core/clock.ts";
import process from "node:process";
import { parseArgs } from "node:util";
import { allocateArena, type ArenaMemory } from "../src/l1/arena/arena.ts";
import { evictionPolicies, type EvictionPolicyName } from "../src/l1/tables.ts";
import { L1Manager } from "../src/l1/l1_manager.ts";
import { planArena } from "../src/l1/arena/layout.ts";
import type { L1 } from "../src/l1/l1.ts";
import { L1Listing } from "../src/storage/read/l1_listing.ts";
import { systemTimers } from "../src/storage/timers.ts";
import { type Hits, hitsOfThreads } from "./support/l1_hits.ts";
import { turnOver } from "../test/l1/turn_over.ts";

const MIB = 1024 * 1024;
const OBJECT_BYTES = 4096;
const ROUNDS = 20;
const HITS = 300_000;
const WRITES = 20_000;

function newMemory(maxObjects: number = 65_536): ArenaMemory {
  return allocateArena({ sizeBytes: 256 * MIB, maxObjects, hashSeed: 1 });
}

function openL1(policy: EvictionPolicyName, memory: ArenaMemory = newMemory()): L1Manager {
  return new L1Manager(memory, {
    workerId: 1,
    clock: systemClock,
    publish: () => {},
    policy,
    admissionLimitBytes: 32 * MIB,
    readLeaseMs: 300_000,
    writeLeaseMs: 600_000,
    highWatermark: 1,
    lowWatermark: 1,
    format: true,
  });
}

function keyOf(i: number) {
  return { tenant: "", key: `chunks/model-a/00000000/${i}` };
}

function write(l1: L1, i: number, sizeBytes: number = OBJECT_BYTES): void {
  const contentType = "application/octet-stream";
  const [staged] = l1.reserveWrite([{ key: keyOf(i), sizeBytes, contentType, sha256: "" }], "put");
  if (typeof staged !== "object") throw new Error(`write ${sizeBytes} bytes: ${staged}`);
  const commit = { lease: staged.lease, sizeBytes, crc32: 0, version: i, createdMs: 0, expiresMs: 0 };
  l1.finishWrite([commit], "replace");
}

/** The best of some rounds, in calls a second: the machine may do other things meanwhile. */
function best(calls: number, call: (i: number) => void): number {
  let seconds = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call(i);
    seconds = Math.min(seconds, (performance.now() - start) / 1000);
  }
  return calls / seconds;
}

function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} M/s`;
}

/** With `json`: prints the totals alone, for bench/compare.ts. */
async function benchThreads(
  threads: number,
  { rounds, json }: { readonly rounds: number; readonly json: boolean },
): Promise<void> {
  const totals: (Hits & { readonly objects: number; readonly threads: number })[] = [];
  for (const objects of [1, 100, 20_000]) {
    const memory = newMemory();
    const l1 = openL1("s3-fifo", memory);
    const keys = Array.from({ length: objects }, (_, i) => keyOf(i));
    for (let i = 0; i < objects; i++) write(l1, i);
    // Rounds alternate, so that both have the same neighbours.
    const runs = new Map<number, Hits[]>([[1, []], [threads, []]]);
    for (let round = 0; round < rounds; round++) {
      for (const [count, seen] of runs) seen.push(await hitsOfThreads(count, { memory, keys, seconds: 0.25 }));
    }
    let alone: Hits | undefined;
    for (const [count, seen] of runs) {
      const perSecond = Math.max(...seen.map((each) => each.perSecond));
      const cpuNs = Math.min(...seen.map((each) => each.cpuNs));
      totals.push({ objects, threads: count, perSecond, cpuNs });
      if (json) continue;
      alone ??= { perSecond, cpuNs };
      const [byRate, byCpu] = [perSecond / alone.perSecond, (count * alone.cpuNs) / cpuNs];
      console.log(
        `${objects} objects, ${count} threads: ${millions(perSecond)} hits, ${cpuNs.toFixed(0)} ns CPU a hit; ` +
          `${byRate.toFixed(2)} of one thread, ${byCpu.toFixed(2)} by CPU time`,
      );
    }
  }
  if (json) console.log(JSON.stringify(totals));
}

/** A thread that holds the lock and is gone, over 100 000 objects of 1 KiB. */
async function benchRepair(): Promise<void> {
  const objects = 100_000;
  const memory = newMemory(objects);
  const l1 = openL1("s3-fifo", memory);
  for (let i = 0; i < objects; i++) write(l1, i, 1024);
  const times: number[] = [];
  for (let workerId = 2; workerId < 2 + ROUNDS; workerId++) {
    Atomics.store(new Int32Array(memory.control), planArena(memory.options).at.lock, workerId);
    const start = performance.now();
    await l1.takeOver(workerId);
    times.push(performance.now() - start);
  }
  const [first = 0] = times;
  console.log(
    `${l1.usage().objects} objects: a repair takes ${Math.min(...times).toFixed(0)} ms, the first ${
      first.toFixed(0)
    } ms`,
  );
}

/** CPU time of pages, and the longest time for which others had to wait for one. */
async function benchListing(): Promise<void> {
  for (const objects of [60_000, 1_000_000]) {
    const l1 = openL1("s3-fifo", newMemory(objects));
    for (let i = 0; i < objects; i++) write(l1, i, 64);
    const waits: number[] = [];
    let lastMs = performance.now();
    const turn = async (): Promise<void> => {
      waits.push(performance.now() - lastMs);
      await systemTimers.turn();
      lastMs = performance.now();
    };
    const timed = async (work: () => Promise<unknown>): Promise<string> => {
      waits.length = 0;
      lastMs = performance.now();
      const { user, system } = process.cpuUsage();
      await work();
      waits.push(performance.now() - lastMs);
      const used = process.cpuUsage({ user, system });
      const cpuMs = (used.user + used.system) / 1000;
      const sorted = waits.toSorted((a, b) => a - b);
      const [median, most, longest] = [0.5, 0.98, 1].map((share) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
      const turns = `${waits.length} turns of ${median?.toFixed(2)} ms, 98 % below ${most?.toFixed(2)} ms`;
      return `${cpuMs.toFixed(2)} ms CPU, ${turns}, the longest ${longest?.toFixed(2)} ms`;
    };
    const listing = new L1Listing({ l1, timers: { ...systemTimers, turn } });
    const page = { tenant: "", prefix: "", limit: 100, after: "" };
    console.log(`${objects} objects, first page: ${await timed(() => listing.page(page))}`);
    console.log(`${objects} objects, first page again: ${await timed(() => listing.page(page))}`);
    const all = async (): Promise<void> => {
      for (let after = "";;) {
        const { entries, more } = await listing.page({ ...page, limit: 1000, after });
        after = entries.at(-1)?.key ?? "";
        if (!more) return;
      }
    };
    if (objects < 100_000) console.log(`${objects} objects, all pages of 1000: ${await timed(all)}`);
    const nobody = { ...page, tenant: "nobody" };
    console.log(`${objects} objects, tenant without any: ${await timed(() => listing.page(nobody))}`);
    console.log(`${objects} objects, tenant without any, again: ${await timed(() => listing.page(nobody))}`);
    const clear = async (): Promise<void> => {
      for (const _ of l1.clear()) await turn();
    };
    console.log(`${objects} objects, clear: ${await timed(clear)}`);
  }
}

function benchOneThread(): void {
  for (const objects of [100, 20_000]) {
    const l1 = openL1("s3-fifo");
    for (let i = 0; i < objects; i++) write(l1, i);
    const writes = best(WRITES, (i) => write(l1, i % objects));
    const keys = Array.from({ length: objects }, (_, i) => keyOf(i));
    const hits = best(HITS, (i) => {
      const key = keys[(i * 7919) % objects];
      const [found] = key === undefined ? [] : l1.reserveRead([key]);
      if (found === undefined) throw new Error("read: a key is missing");
      l1.finishRead([found.lease]);
    });
    console.log(`${objects} objects of 4 KiB: ${millions(hits)} hits a thread, ${millions(writes)} writes`);
  }

  const words = (maxObjects: number) => planArena({ sizeBytes: 256 * MIB, maxObjects, hashSeed: 1 }).words;
  console.log(`control memory for one object: ${(4 * (words(65_536) - words(0))) / 65_536} bytes`);

  const names = Object.keys(evictionPolicies).filter((name): name is EvictionPolicyName => name in evictionPolicies);
  for (const policy of names) {
    for (const maxBytes of [MIB, 32 * MIB]) {
      const { meanEfficiency, minEfficiency } = turnOver(openL1(policy), { turnovers: 10, minBytes: 1024, maxBytes });
      const share = `${meanEfficiency.toFixed(3)} of the arena is payload (at least ${minEfficiency.toFixed(3)})`;
      console.log(`${policy}, 1 KiB to ${maxBytes / MIB} MiB: ${share}`);
    }
  }
}

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    threads: { type: "string" },
    rounds: { type: "string", default: String(ROUNDS) },
    json: { type: "boolean", default: false },
    repair: { type: "boolean" },
    list: { type: "boolean" },
  },
});
if (values.list === true) await benchListing();
else if (values.repair === true) await benchRepair();
else if (values.threads !== undefined) {
  await benchThreads(Number(values.threads), { rounds: Number(values.rounds), json: values.json });
} else benchOneThread();
