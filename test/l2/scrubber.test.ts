import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type FileAdapter, openOwnFolder } from "../../src/l2/file/adapter.ts";
import { Scrubber } from "../../src/l2/scrubber.ts";
import { EventRecorder } from "../http/contract_client.ts";
import { flipBit } from "./file/folder.ts";
import { inFolder, key, newBench, pattern, readAll, sourceOf } from "./support.ts";

const MIB = 1024 * 1024;

/** A file tier, and a scrubber of 1 MiB/s over it whose clock is moved by its waits; it stops after one round. */
async function withScrubber(
  limits: { readonly recordLimitBytes: number; readonly limitBytes?: number },
  body: (made: {
    readonly adapter: FileAdapter;
    readonly path: string;
    readonly events: EventRecorder;
    readonly clock: { readonly nowMs: () => number };
    /** Reads everything once. */
    readonly round: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  await inFolder(async (path) => {
    const events = new EventRecorder();
    let scrubber: Scrubber | undefined;
    const { adapter } = openOwnFolder({
      ...newBench(),
      ...{ name: "fs", path, limitBytes: 0, sync: false, ...limits },
      onRemoved: (removed, reason) => reason === "corrupt" && scrubber?.damaged(0, removed),
    });
    let nowMs = 0;
    const round = async () => {
      const over = Promise.withResolvers<void>();
      scrubber = new Scrubber([adapter], {
        publish: events.publish,
        bytesPerSecond: MIB,
        delayMs: 0,
        nowMs: () => nowMs,
        async wait(ms) {
          // Only the wait for the next round is that long.
          if (ms > 1_800_000) {
            over.resolve();
            await new Promise(() => {});
          }
          nowMs += ms;
        },
      });
      scrubber.start();
      await over.promise;
      await scrubber.stop();
    };
    try {
      await body({ adapter, path, events, round, clock: { nowMs: () => nowMs } });
    } finally {
      await adapter.close();
    }
  });
}

/** The files of a folder that contain these bytes. */
function filesWith(path: string, bytes: Uint8Array): readonly { readonly file: string; readonly at: number }[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.includes("sqlite"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ file, at: readFileSync(file).indexOf(bytes) }))
    .filter(({ at }) => at >= 0);
}

const outcomes = (events: EventRecorder) =>
  events.named("l2.scrubbed").map((fields) => "outcome" in fields ? String(fields.outcome) : "").toSorted();

for (const [name, recordLimitBytes] of [["files of their own", 0], ["segments", 128 * 1024]] as const) {
  test(`Scrubber finds a flipped bit that nobody has read, when objects are in ${name}`, async () => {
    await withScrubber({ recordLimitBytes }, async ({ adapter, path, events, round }) => {
      for (let i = 0; i < 20; i++) await adapter.store(key(`k${i}`, "t"), sourceOf(pattern(5000, i)));
      await round();
      expect(outcomes(events)).toEqual(Array.from({ length: 20 }, () => "intact"));
      const [place] = filesWith(path, pattern(5000, 7));
      if (place === undefined) throw new Error("find object 7: no file has it");
      flipBit(place.file, place.at + 4000);
      events.clear();
      await round();
      expect(outcomes(events).filter((outcome) => outcome !== "intact")).toEqual(["damaged"]);
      expect(events.named("l2.damaged")).toEqual([
        { tier: "fs", found: "scrub", keyHash: createHash("sha256").update("t\0k7").digest("hex").slice(0, 16) },
      ]);
      expect(await adapter.lookup(key("k7", "t"))).toBeUndefined();
      events.clear();
      await round();
      expect(outcomes(events)).toEqual(Array.from({ length: 19 }, () => "intact"));
    });
  });
}

test("Scrubber finds damage in a later block of a large object", async () => {
  await withScrubber({ recordLimitBytes: 0 }, async ({ adapter, path, events, round }) => {
    await adapter.store(key("large"), sourceOf(pattern(3 * MIB)));
    const [place] = filesWith(path, pattern(3 * MIB).subarray(0, 64));
    flipBit(place?.file ?? "", 2 * MIB + 17);
    await round();
    expect(events.named("l2.scrubbed")).toEqual([{ tier: "fs", outcome: "damaged", keys: 1, bytes: 2 * MIB }]);
    expect(await adapter.lookup(key("large"))).toBeUndefined();
    expect(statSync(path).isDirectory()).toBe(true);
  });
});

test("Scrubber reads no more than its rate allows, and small objects cost 4 KiB on top", async () => {
  await withScrubber({ recordLimitBytes: 0 }, async ({ adapter, events, round, clock }) => {
    for (let i = 0; i < 8; i++) await adapter.store(key(`k${i}`), sourceOf(pattern(MIB + 100)));
    await round();
    expect(outcomes(events).length).toBe(8);
    const seconds = 8 * (MIB + 100 + 4096) / MIB;
    // The last waits may still be owed.
    expect([clock.nowMs() / 1000 <= seconds, clock.nowMs() / 1000 > seconds - 0.02]).toEqual([true, true]);
  });
});

test("Scrubber does not count as a use: the object that nobody used is still evicted first", async () => {
  await withScrubber({ recordLimitBytes: 0, limitBytes: 100_000 }, async ({ adapter, round }) => {
    for (const name of ["used", "unused", "third"]) await adapter.store(key(name), sourceOf(pattern(28_000)));
    await readAll(await adapter.load(key("used")));
    await round();
    await adapter.store(key("fourth"), sourceOf(pattern(28_000)));
    const kept = ["used", "unused", "third", "fourth"].map(async (name) =>
      await adapter.lookup(key(name)) !== undefined
    );
    expect(await Promise.all(kept)).toEqual([true, false, true, true]);
  });
});

test("damage that a reader finds is published as such, with the hash of its key", async () => {
  await withScrubber({ recordLimitBytes: 0 }, async ({ adapter, path, events, round }) => {
    await round();
    await adapter.store(key("k"), sourceOf(pattern(5000)));
    const [place] = filesWith(path, pattern(5000));
    flipBit(place?.file ?? "", 17);
    expect(await adapter.load(key("k"))).toBeUndefined();
    expect(events.named("l2.damaged")).toMatchObject([{ tier: "fs", found: "read" }]);
  });
});
