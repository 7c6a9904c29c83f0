import { test } from "bun:test";
import * as fc from "fast-check";
import { VitrineError } from "../../src/core/errors.ts";
import { MAX_KEPT_HEADER_BYTES, packHeaders, unpackHeaders } from "../../src/core/object.ts";
import type { L2Adapter } from "../../src/l2/adapter.ts";
import { openOwnFolder } from "../../src/l2/file/adapter.ts";
import { inFolder } from "../l2/support.ts";
import { drainRead, key, pattern, put, putRequest, storageBench } from "../support/storage_bench.ts";

const byte = fc.constantFrom(9, ...Array.from({ length: 224 }, (_, i) => i + 32).filter((code) => code !== 127));
const value = fc.array(byte, { maxLength: 300 }).map((codes) => String.fromCharCode(...codes));
const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,20}$/);
const fields = fc.uniqueArray(fc.tuple(name, value), { selector: ([each]) => each, maxLength: 20 })
  .filter((each) => packHeaders(each).length <= MAX_KEPT_HEADER_BYTES);
const object = fc.record({
  key: fc.constantFrom(...Array.from("abcdefghijkl")),
  fields,
  sizeBytes: fc.nat({ max: 5000 }),
});

test("packHeaders gives fields back, sorted by name, whatever bytes are in them", () => {
  fc.assert(
    fc.property(fields, (each) => {
      const sorted = each.toSorted(([a], [b]) => a < b ? -1 : 1);
      same(unpackHeaders(packHeaders(each)), sorted);
    }),
    { numRuns: 200 },
  );
});

/** Opens a file tier over the folder, used by a storage manager with an L1 of its own, and closes it after `body`. */
async function withStorage(
  path: string,
  write: "back" | "through",
  body: (bench: ReturnType<typeof storageBench>) => Promise<void>,
): Promise<void> {
  const options = { name: "t1", path, limitBytes: 0, sync: false, publish() {} };
  const { adapter: files } = openOwnFolder({
    ...options,
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
  });
  const bench = storageBench({ write, wrap: (): L2Adapter => files });
  await body(bench);
  await bench.storage.drain();
}

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`found ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }
}

for (const write of ["back", "through"] as const) {
  test(
    `Storage gives kept headers back from L1, from the tier and after a restart when it writes ${write}`,
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(object, { minLength: 20, maxLength: 40 }), (objects) =>
          inFolder(async (path) => {
            const last = new Map<string, (typeof objects)[number]>();
            const check = async ({ storage }: ReturnType<typeof storageBench>) => {
              for (const each of last.values()) {
                const headers = packHeaders(each.fields);
                const read = await storage.get(key(each.key));
                if (read === undefined) throw new Error(`${each.key} is gone`);
                same(read.meta.headers ?? "", headers);
                same([...await drainRead(read)], [...pattern(each.sizeBytes)]);
                same((await storage.head(key(each.key)))?.meta.headers ?? "", headers);
              }
            };
            await withStorage(path, write, async (bench) => {
              for (const each of objects) {
                const headers = packHeaders(each.fields) || undefined;
                await put(bench.storage, each.key, { body: pattern(each.sizeBytes), headers });
                last.set(each.key, each);
              }
              await check(bench);
              bench.evictAll();
              await check(bench);
            });
            await withStorage(path, write, check);
          })),
        // One folder is enough: opening it costs more than all that is in it.
        { numRuns: 1 },
      );
    },
  );
}

for (const write of ["back", "through"] as const) {
  // The bench's L1 admits 4096 bytes.
  for (const [place, sizeBytes] of [["L1", 1000], ["the tiers alone", 10_000]] as const) {
    test(`Upload.finish replaces the headers of its request in ${place} when it writes ${write}`, () =>
      inFolder((path) =>
        withStorage(path, write, async (bench) => {
          const { storage } = bench;
          const early = packHeaders([["x-a", "0000"], ["x-b", "kept"]]);
          const late = packHeaders([["x-a", "1234"], ["x-b", "kept"]]);
          const upload = await storage.reserve(putRequest("late", { sizeBytes, headers: early }));
          await upload.write(pattern(sizeBytes));
          same((await upload.finish({ headers: late })).meta.headers, late);
          same((await storage.head(key("late")))?.meta.headers, late);
          bench.evictAll();
          same((await storage.head(key("late")))?.meta.headers, late);
        })
      ));
  }
}

test("Upload.finish throws and stores nothing when the headers have another length", () =>
  inFolder((path) =>
    withStorage(path, "back", async ({ storage }) => {
      const upload = await storage.reserve(putRequest("late", { sizeBytes: 1, headers: packHeaders([["x-a", "00"]]) }));
      await upload.write(pattern(1));
      const error = await upload.finish({ headers: packHeaders([["x-a", "000"]]) }).catch((each: unknown) => each);
      same(error instanceof VitrineError && error.code, "bad_request");
      same(await storage.head(key("late")), undefined);
    })
  ));
