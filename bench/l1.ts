/**
 * What L1 costs, printed: hits a second of one thread (reserveRead + finishRead of one key), writes of 4 KiB, control memory for one object,
 * and the payload's share of the arena after ten turnovers. `bun bench/l1.ts` or `deno run -A bench/l1.ts`.
 */
import { systemClock } from "../src/core/clock.ts";
import { allocateArena } from "../src/l1/arena.ts";
import { evictionPolicies, type EvictionPolicyName } from "../src/l1/eviction/mod.ts";
import { L1Manager } from "../src/l1/l1_manager.ts";
import { planArena } from "../src/l1/layout.ts";
import type { L1 } from "../src/l1/types.ts";
import { turnOver } from "../test/l1/turn_over.ts";

const MIB = 1024 * 1024;
const OBJECT_BYTES = 4096;
const ROUNDS = 5;
const HITS = 300_000;

function openL1(policy: EvictionPolicyName): L1 {
  return new L1Manager(allocateArena({ sizeBytes: 256 * MIB, maxObjects: 65_536, hashSeed: 1 }), {
    holder: 1,
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

function write(l1: L1, i: number): void {
  const contentType = "application/octet-stream";
  const [staged] = l1.reserveWrite([{ key: keyOf(i), sizeBytes: OBJECT_BYTES, contentType, sha256: "" }], "put");
  if (typeof staged !== "object") throw new Error(`write ${OBJECT_BYTES} bytes: ${staged}`);
  const commit = { lease: staged.lease, sizeBytes: OBJECT_BYTES, crc32: 0, version: i, createdMs: 0, expiresMs: 0 };
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

for (const objects of [100, 20_000]) {
  const l1 = openL1("s3-fifo");
  const writes = best(objects, (i) => write(l1, i));
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
