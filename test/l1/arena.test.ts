import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Allocator, MIN_EXTENT_GRANULES } from "../../src/l1/arena/allocator.ts";
import { allocateArena, Arena, Counters } from "../../src/l1/arena/arena.ts";
import { COUNTER, GRANULE_BYTES, planArena } from "../../src/l1/arena/layout.ts";
import { bytesOf, commit, fill, get, makeL1, MIB, put, request, resident, same, staging } from "./support.ts";
import type { EvictionPolicyName } from "../../src/l1/tables.ts";
import { turnOver } from "./turn_over.ts";

interface Made {
  readonly allocator: Allocator;
  readonly counters: Counters;
  readonly granules: number;
  readonly segmentGranules: number;
}

function make(granules: number, options: { segmentGranules?: number; maxObjects?: number } = {}): Made {
  const segmentGranules = options.segmentGranules ?? 2 ** 26;
  const arena = new Arena(allocateArena({
    sizeBytes: granules * GRANULE_BYTES,
    maxObjects: options.maxObjects ?? 500,
    hashSeed: 1,
    segmentBytes: segmentGranules * GRANULE_BYTES,
  }));
  const counters = new Counters(arena);
  const allocator = new Allocator(arena, counters);
  allocator.format();
  return { allocator, counters, granules, segmentGranules };
}

function piecesOf(allocator: Allocator, first: number): { start: number; length: number }[] {
  const pieces = [];
  for (let block = first; block !== -1; block = allocator.next(block)) {
    pieces.push({ start: allocator.start(block), length: allocator.length(block) });
  }
  return pieces;
}

/**
 * Throws if blocks overlap, leave gaps, cross segments, are not merged, or do not agree with `held` and the counters.
 */
function check({ allocator, counters, granules, segmentGranules }: Made, held: ReadonlyMap<number, number>): void {
  const blocks = [...allocator.blocks()].sort((a, b) => a.start - b.start);
  let end = 0;
  let wasFree = false;
  for (const { start, length, free } of blocks) {
    same(start, end);
    if (start % segmentGranules !== 0) same(wasFree && free, false);
    same(Math.floor(start / segmentGranules), Math.floor((start + length - 1) / segmentGranules));
    end += length;
    wasFree = free;
  }
  same(end, granules);
  const sum = (list: readonly { length: number }[]) => list.reduce((total, { length }) => total + length, 0);
  const free = blocks.filter((block) => block.free);
  let used = 0;
  const starts = new Set<number>();
  for (const [first, wanted] of held) {
    const pieces = piecesOf(allocator, first);
    same(sum(pieces), wanted);
    for (const { start } of pieces) starts.add(start);
    used += wanted;
  }
  same(starts.size, blocks.length - free.length);
  same([allocator.freeGranules, sum(free)], [granules - used, granules - used]);
  same(counters.get(COUNTER.bigFreeGranules), sum(free.filter(({ length }) => length >= MIN_EXTENT_GRANULES)));
}

const size = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 1, max: 1200 }),
  fc.integer({ min: MIN_EXTENT_GRANULES, max: 6000 }),
);
const step = fc.record({
  kind: fc.constantFrom("allocate", "allocate", "allocate", "release", "append", "shrink"),
  size,
  pick: fc.nat(1000),
});

function run(made: Made, steps: readonly { kind: string; size: number; pick: number }[]): void {
  const { allocator } = made;
  const held = new Map<number, number>();
  for (const { kind, size, pick } of steps) {
    const first = [...held.keys()][pick % Math.max(1, held.size)];
    const has = first === undefined ? 0 : held.get(first) ?? 0;
    if (kind === "allocate") {
      const block = allocator.allocate(size);
      if (block !== -1) {
        const pieces = piecesOf(allocator, block);
        for (const piece of pieces.slice(0, -1)) expect(piece.length).toBeGreaterThanOrEqual(MIN_EXTENT_GRANULES);
        held.set(block, size);
      }
    } else if (first !== undefined && kind === "release") {
      allocator.release(first);
      held.delete(first);
    } else if (first !== undefined && kind === "append") {
      const more = allocator.allocate(size);
      if (more !== -1) {
        allocator.append(first, more);
        held.set(first, has + size);
      }
    } else if (first !== undefined && kind === "shrink") {
      const wanted = 1 + (pick % has);
      allocator.shrink(first, wanted);
      const left = allocator.chainLength(first);
      expect(left).toBeGreaterThanOrEqual(wanted);
      held.set(first, left);
    }
    check(made, held);
  }
  for (const first of held.keys()) allocator.release(first);
  check(made, new Map());
  const segments = Math.ceil(made.granules / made.segmentGranules);
  expect([...allocator.blocks()].length).toBe(segments);
}

test("Allocator never overlaps nor leaks when blocks come and go at random", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9000 }), fc.array(step, { maxLength: 60 }), (granules, steps) => {
      run(make(granules), steps);
    }),
    { numRuns: 150 },
  );
});

test("Allocator keeps pieces inside segments when the arena has several", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9000 }), fc.array(step, { maxLength: 60 }), (granules, steps) => {
      run(make(granules, { segmentGranules: 2048 }), steps);
    }),
    { numRuns: 150 },
  );
});

test("Allocator refuses when block rows run out", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), (steps) => {
      // 66 rows: small sizes use them up long before the memory.
      run(make(9000, { maxObjects: 1 }), steps.map((each) => ({ ...each, size: 1 + (each.size % 30) })));
    }),
    { numRuns: 100 },
  );
  const made = make(9000, { maxObjects: 1 });
  const held = new Map<number, number>();
  for (let block = made.allocator.allocate(1); block !== -1; block = made.allocator.allocate(1)) held.set(block, 1);
  expect(held.size).toBe(65);
  check(made, held);
});

test("Allocator cuts large requests only when no free block is large enough", () => {
  const made = make(8 * 1024);
  const { allocator } = made;
  const blocks = Array.from({ length: 8 }, () => allocator.allocate(1024));
  for (const i of [1, 3, 5]) allocator.release(blocks[i] ?? -1);
  const scattered = allocator.allocate(2500);
  expect(piecesOf(allocator, scattered)).toEqual([
    { start: 5 * 1024, length: 1024 },
    { start: 3 * 1024, length: 1024 },
    { start: 1024, length: 452 },
  ]);
  expect(allocator.allocate(1023)).toBe(-1);
  expect(piecesOf(allocator, allocator.allocate(572)).length).toBe(1);
  expect(allocator.freeGranules).toBe(0);
  expect(allocator.allocate(1)).toBe(-1);
});

test("Allocator refuses what is larger than the arena", () => {
  const { allocator } = make(5000);
  for (const granules of [5001, 2 ** 20, 2 ** 26, 2 ** 30]) expect(allocator.allocate(granules)).toBe(-1);
  expect(piecesOf(allocator, allocator.allocate(5000))).toEqual([{ start: 0, length: 5000 }]);
});

test("objects of 1 KiB to 32 MiB use nine tenths of the arena after ten turnovers", () => {
  for (const policy of ["s3-fifo", "lru"] as const satisfies readonly EvictionPolicyName[]) {
    const { l1 } = makeL1({ sizeBytes: 256 * MIB, maxObjects: 65_536 }, { policy, admissionLimitBytes: 32 * MIB });
    const { meanEfficiency, objects } = turnOver(l1, { turnovers: 10, minBytes: 1024, maxBytes: 32 * MIB });
    expect(objects).toBeGreaterThan(10);
    expect(meanEfficiency).toBeGreaterThan(0.9);
  }
});

test("planArena takes at most 200 bytes of control memory for one more object", () => {
  for (const maxObjects of [1000, 1024, 1025, 65_536, 100_000, 2 ** 20 + 1]) {
    const size = (objects: number) => 4 * planArena({ sizeBytes: 2 ** 30, maxObjects: objects, hashSeed: 0 }).words;
    expect((size(maxObjects) - size(0)) / maxObjects).toBeLessThanOrEqual(200.6);
  }
});

test("an arena above 4 GiB has several segments, and objects in the second are written and read right", () => {
  const { l1, memory } = makeL1({ sizeBytes: 4200 * MIB, maxObjects: 100 }, { admissionLimitBytes: 4095 * MIB });
  expect(memory.segments.map((segment) => segment.byteLength)).toEqual([4096 * MIB, 104 * MIB]);
  // Nobody writes into this one, so its pages are never backed.
  const ballast = staging(l1.reserveWrite([request("ballast", 4095 * MIB)], "put")[0]);
  l1.finishWrite([commit(ballast, 4095 * MIB)], "replace");
  put(l1, "low", "in the first segment, if it fits");
  const [staged] = l1.reserveWrite([request("high", 2 * MIB)], "put");
  expect(staging(staged).extents.map((view) => view.buffer === memory.segments[1])).toEqual([true]);
  const content = Uint8Array.from({ length: 2 * MIB }, (_, i) => (i * 7) & 255);
  fill(staging(staged).extents.map((view) => view.subarray(0, 2 * MIB)), content);
  l1.finishWrite([commit(staging(staged), 2 * MIB)], "replace");
  const [found] = l1.reserveRead([{ tenant: "", key: "high" }]);
  const view = resident(found).extents[0];
  expect([view?.length, view?.[12_345], view?.[2 * MIB - 1]]).toEqual([2 * MIB, content[12_345], content.at(-1)]);
  expect(bytesOf([view?.subarray(0, 1000) ?? new Uint8Array()])).toEqual(content.subarray(0, 1000));
  expect(get(l1, "low")).toBe("in the first segment, if it fits");
});
