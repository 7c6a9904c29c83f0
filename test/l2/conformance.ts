import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { VitrineError } from "../../src/core/errors.ts";
import { MAX_KEPT_HEADER_BYTES, type ObjectMeta } from "../../src/core/object.ts";
import { type L2Adapter, MANY_KEYS } from "../../src/l2/adapter.ts";
import { type Bench, codeOf, holds, inFolder, key, metaOf, newBench, pattern, readAll, sourceOf } from "./support.ts";

/** How the suite gets at one kind of adapter. */
export interface AdapterFixture {
  /** The name of the kind in test titles. */
  readonly name: string;
  /** Opens an adapter over an empty or a formerly used folder. */
  open(folder: string, options: Bench & { readonly limitBytes: number }): Promise<L2Adapter>;
  /** Whether objects are there again after close and open. */
  readonly persistent: boolean;
  /** Whether it keeps to `limitBytes` (default); false: what it stores in has limits of its own. */
  readonly hasLimit?: boolean;
  /** Whether it knows its usage (default). */
  readonly knowsUsage?: boolean;
  /** Whether it can clear all tenants at once (default). */
  readonly knowsTenants?: boolean;
  /** The wall time at which the adapter's clock stands (default: some time in 2023). */
  readonly startMs?: () => number;
  /** The bytes that the tier stores and counts for an object of this size (default: the same number). */
  readonly storedBytes?: (sizeBytes: number) => number;
}

type Opened = { readonly adapter: L2Adapter; readonly reopen: () => Promise<L2Adapter> } & Bench;

const MIB = 1024 * 1024;

/** Every byte that a field's value may have. */
const everyByte = String.fromCharCode(
  9,
  ...Array.from({ length: 224 }, (_, i) => i + 32).filter((code) => code !== 127),
);

/** The definition of an adapter: every one listed in src/l2/mod.ts passes this. */
export function adapterConformance(fixture: AdapterFixture): void {
  const withAdapter = (body: (opened: Opened) => Promise<void>, limitBytes = 0) => () =>
    inFolder(async (folder) => {
      const bench = newBench(fixture.startMs?.());
      let adapter = await fixture.open(folder, { ...bench, limitBytes });
      const reopen = async (): Promise<L2Adapter> => {
        await adapter.close();
        adapter = await fixture.open(folder, { ...bench, limitBytes });
        return adapter;
      };
      try {
        await body({ ...bench, adapter, reopen });
      } finally {
        await adapter.close();
      }
    });

  const { hasLimit = true, knowsUsage = true, knowsTenants = true, storedBytes = (sizeBytes) => sizeBytes } = fixture;
  /** Expects a number of objects of a tier that knows it. */
  const expectObjects = async (adapter: L2Adapter, objects: number): Promise<void> => {
    const usage = await adapter.usage();
    if (knowsUsage) expect(usage?.objects).toBe(objects);
    else expect(usage).toBe(undefined);
  };
  const usedBytes = async (adapter: L2Adapter): Promise<number> => (await adapter.usage())?.usedBytes ?? Infinity;
  /** Clears all tenants, which are these. */
  const clearAll = async (adapter: L2Adapter, tenants: readonly string[]): Promise<number> => {
    if (knowsTenants) return await adapter.clear();
    let count = 0;
    for (const tenant of tenants) count += await adapter.clear(tenant);
    return count;
  };
  /** A test of what happens at the limit. */
  const testLimit = (name: string, body: () => Promise<void>) => {
    if (hasLimit) test(name, body);
  };

  describe(`${fixture.name} adapter`, () => {
    test(
      "lookup, load and delete miss when there is no such object",
      withAdapter(async ({ adapter }) => {
        expect(await adapter.lookup(key("a"))).toBe(undefined);
        expect(await adapter.load(key("a"))).toBe(undefined);
        expect(await adapter.delete(key("a"))).toBe(false);
        expect(await adapter.list({ tenant: "", prefix: "", after: "", limit: 10 })).toEqual({
          entries: [],
          more: false,
        });
      }),
    );

    for (const sizeBytes of [0, 1, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB + 17]) {
      test(
        `store and load keep bytes and metadata when the size is ${sizeBytes}`,
        withAdapter(async ({ adapter }) => {
          const bytes = pattern(sizeBytes);
          const meta = metaOf(bytes, {
            contentType: "text/plain; x=é",
            sha256: createHash("sha256").update(bytes).digest("base64"),
            expiresMs: 9_999_999_999_999.5,
          });
          expect(await adapter.store(key("a"), sourceOf(bytes, { meta }))).toEqual(meta);
          expect(await adapter.lookup(key("a"))).toEqual(meta);
          expect((await adapter.load(key("a")))?.meta).toEqual(meta);
          expect(await holds(adapter, key("a"), bytes)).toBe(true);
        }),
      );
    }

    test(
      "storeWhole, where there is one, stores like store, and changes nothing when the object is not wanted or not whole",
      withAdapter(async ({ adapter }) => {
        const bytes = pattern(1000);
        const meta = metaOf(bytes);
        if (adapter.storeWhole === undefined || (adapter.groupLimitBytes ?? 0) < bytes.length) return;
        const object = {
          meta,
          extents: [bytes.subarray(0, 300), bytes.subarray(300)],
          durable: false,
          assertWanted() {},
        };
        const unwanted = (): never => {
          throw new VitrineError("client_gone", "not wanted");
        };
        const storing = adapter.storeWhole(key("a"), { ...object, assertWanted: unwanted });
        expect(await codeOf(storing)).toBe("client_gone");
        const torn = adapter.storeWhole(key("a"), {
          ...object,
          extents: [bytes.subarray(0, 300), bytes.subarray(299)],
        });
        expect(await codeOf(torn)).toBe("tier_failed");
        expect(await adapter.lookup(key("a"))).toBe(undefined);
        await adapter.storeWhole(key("a"), object);
        expect(await adapter.lookup(key("a"))).toEqual(meta);
        expect(await holds(adapter, key("a"), bytes)).toBe(true);
      }),
    );

    test(
      "keys, where there are any, are those of all objects, also of an earlier run",
      withAdapter(async ({ adapter, reopen }) => {
        if (adapter.keys === undefined) return;
        const names = Array.from({ length: 1201 }, (_, i) => `k${i}`);
        await Promise.all(names.map((name) => adapter.store(key(name), sourceOf(pattern(1)))));
        await adapter.store({ tenant: "t", key: "x" }, sourceOf(pattern(1)));
        const found = async (of: L2Adapter): Promise<Set<string>> => {
          const keys = new Set<string>();
          for await (const page of of.keys?.() ?? []) for (const each of page) keys.add(`${each.tenant} ${each.key}`);
          return keys;
        };
        const wanted = new Set([...names.map((name) => ` ${name}`), "t x"]);
        expect(await found(adapter)).toEqual(wanted);
        expect(await found(await reopen())).toEqual(fixture.persistent ? wanted : new Set());
      }),
    );

    test(
      "store and load keep the headers, and replace all of them",
      withAdapter(async ({ adapter, reopen }) => {
        const most = `vitrine-meta-most:${"\u00ff".repeat(MAX_KEPT_HEADER_BYTES - 20)}\n`;
        for (const headers of ["content-encoding:gzip\n", `expires:\nvitrine-meta-bytes:${everyByte}\n`, most]) {
          const meta = metaOf(pattern(100), { headers });
          expect(await adapter.store(key("a"), sourceOf(pattern(100), { meta }))).toEqual(meta);
          expect(await adapter.lookup(key("a"))).toEqual(meta);
          expect((await adapter.load(key("a")))?.meta).toEqual(meta);
          const { entries } = await adapter.list({ tenant: "", prefix: "", after: "", limit: 1 });
          expect(entries).toEqual([{ key: "a", meta }]);
        }
        const again = await reopen();
        if (fixture.persistent) expect((await again.lookup(key("a")))?.headers).toBe(most);
        await again.store(key("a"), sourceOf(pattern(100)));
        expect((await again.lookup(key("a")))?.headers).toBe(undefined);
      }),
    );

    for (const chunkBytes of [100, 300_000, 2 * MIB]) {
      test(
        `store takes chunks of ${chunkBytes} bytes over shared memory when the size is not announced`,
        withAdapter(async ({ adapter }) => {
          const bytes = pattern(MIB + 54_321);
          await adapter.store(key("a"), sourceOf(bytes, { chunkBytes, sized: false }));
          expect(await holds(adapter, key("a"), bytes)).toBe(true);
        }),
      );
    }

    test(
      "load gives exactly the range when one is asked for",
      withAdapter(async ({ adapter }) => {
        const bytes = pattern(2 * MIB + 100);
        await adapter.store(key("a"), sourceOf(bytes));
        const edges = [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, bytes.length - 1, bytes.length];
        for (const start of edges) {
          for (const end of edges.filter((edge) => edge >= start)) {
            const part = await readAll(await adapter.load(key("a"), { start, end }));
            expect(part?.length).toBe(end - start);
            expect(Buffer.compare(part ?? pattern(1), bytes.subarray(start, end))).toBe(0);
          }
        }
      }),
    );

    test(
      "load gives what is inside, and the object stays, when the range reaches beyond the end",
      withAdapter(async ({ adapter, removed }) => {
        for (const sizeBytes of [0, 100, MIB + 50]) {
          const bytes = pattern(sizeBytes);
          await adapter.store(key(`${sizeBytes}`), sourceOf(bytes));
          for (const [start, end] of [[0, 3 * MIB], [50, 2 * MIB], [2 * MIB, 3 * MIB]] as const) {
            const part = await readAll(await adapter.load(key(`${sizeBytes}`), { start, end }));
            expect(Buffer.compare(part ?? pattern(1), bytes.subarray(start, end))).toBe(0);
          }
          expect(await holds(adapter, key(`${sizeBytes}`), bytes)).toBe(true);
        }
        expect(removed).toEqual([]);
      }),
    );

    test(
      "load gives private memory, right until the next but one is asked for, when chunks are written to",
      withAdapter(async ({ adapter }) => {
        const bytes = pattern(6 * MIB);
        await adapter.store(key("a"), sourceOf(bytes));
        const load = await adapter.load(key("a"));
        let held: Uint8Array = new Uint8Array();
        let at = 0;
        const take = () => {
          expect(Buffer.compare(held, bytes.subarray(at, at + held.length))).toBe(0);
          expect(held.buffer).toBeInstanceOf(ArrayBuffer);
          at += held.length;
          held.fill(0);
        };
        for await (const chunk of load?.chunks ?? []) {
          take();
          held = chunk;
        }
        take();
        expect(at).toBe(bytes.length);
        expect(await holds(adapter, key("a"), bytes)).toBe(true);
      }),
    );

    test(
      "load can be abandoned when the first chunk was read, or none",
      withAdapter(async ({ adapter }) => {
        await adapter.store(key("a"), sourceOf(pattern(3 * MIB)));
        for await (const chunk of (await adapter.load(key("a")))?.chunks ?? []) {
          expect(chunk.length > 0).toBe(true);
          break;
        }
        const unread = (await adapter.load(key("a")))?.chunks[Symbol.asyncIterator]();
        await unread?.return?.();
        expect((await unread?.next())?.done).toBe(true);
      }),
    );

    test(
      "a running load goes on with the old bytes when the object is replaced or deleted",
      withAdapter(async ({ adapter }) => {
        const bytes = pattern(3 * MIB, 1);
        await adapter.store(key("a"), sourceOf(bytes));
        const first = await adapter.load(key("a"));
        await adapter.store(key("a"), sourceOf(pattern(3 * MIB, 2)));
        const second = await adapter.load(key("a"));
        await adapter.delete(key("a"));
        expect(Buffer.compare(await readAll(first) ?? pattern(1), bytes)).toBe(0);
        expect(Buffer.compare(await readAll(second) ?? pattern(1), pattern(3 * MIB, 2))).toBe(0);
      }),
    );

    test(
      "store replaces and says so when there was an object",
      withAdapter(async ({ adapter, removed }) => {
        await adapter.store(key("a", "t"), sourceOf(pattern(100)));
        await adapter.store(key("a", "t"), sourceOf(pattern(200, 2)));
        expect(await holds(adapter, key("a", "t"), pattern(200, 2))).toBe(true);
        await expectObjects(adapter, 1);
        expect(removed).toEqual([`replaced t 1 ${storedBytes(100)}`]);
      }),
    );

    test(
      "store replaces when the new version is the same or lower",
      withAdapter(async ({ adapter }) => {
        for (const [seed, version] of [[1, 2000], [1, 2000], [2, 1000]] as const) {
          await adapter.store(key("a"), sourceOf(pattern(100, seed), { meta: { version } }));
          expect(await holds(adapter, key("a"), pattern(100, seed))).toBe(true);
        }
        await expectObjects(adapter, 1);
      }),
    );

    test(
      "store throws what the source throws and leaves what was there when the chunks break off",
      withAdapter(async ({ adapter, removed }) => {
        await adapter.store(key("a"), sourceOf(pattern(100)));
        const gone = new VitrineError("client_gone", "read body: the client is gone");
        async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
          yield pattern(400_000);
          throw gone;
        }
        const source = { chunks: chunks(), meta: () => metaOf(pattern(1)) };
        expect(await adapter.store(key("a"), source).catch((error: unknown) => error)).toBe(gone);
        expect(await holds(adapter, key("a"), pattern(100))).toBe(true);
        expect(removed).toEqual([]);
      }),
    );

    test(
      "store throws what meta throws and leaves what was there when the source refuses at the end",
      withAdapter(async ({ adapter }) => {
        const usage = await adapter.usage();
        const refusal = new Error("digest");
        const source = {
          ...sourceOf(pattern(100)),
          meta(): ObjectMeta {
            throw refusal;
          },
        };
        expect(await adapter.store(key("a"), source).catch((error: unknown) => error)).toBe(refusal);
        expect(await adapter.lookup(key("a"))).toBe(undefined);
        expect(await adapter.usage()).toEqual(usage);
      }),
    );

    test(
      "store throws what assertWanted throws and leaves what was there when nobody waits for it any more",
      withAdapter(async ({ adapter, removed }) => {
        await adapter.store(key("a"), sourceOf(pattern(100)));
        const usage = await adapter.usage();
        const unwanted = new Error("given up");
        const source = {
          ...sourceOf(pattern(200)),
          assertWanted(): void {
            throw unwanted;
          },
        };
        expect(await adapter.store(key("a"), source).catch((error: unknown) => error)).toBe(unwanted);
        expect(await holds(adapter, key("a"), pattern(100))).toBe(true);
        expect([await adapter.usage(), removed]).toEqual([usage, []]);
      }),
    );

    test(
      "an object becomes visible in the step in which assertWanted is asked",
      withAdapter(async ({ adapter }) => {
        const after: Promise<unknown>[] = [];
        const source = {
          ...sourceOf(pattern(200)),
          assertWanted(): void {
            queueMicrotask(() => after.push(adapter.lookup(key("a"))));
          },
        };
        const meta = await adapter.store(key("a"), source);
        expect(await Promise.all(after)).toEqual([meta]);
      }),
    );

    test(
      "usage tells the age of the oldest object, if it tells ages, when objects come, age, are replaced and go",
      withAdapter(async ({ adapter, clock, reopen }) => {
        const age = async (from: L2Adapter): Promise<number | undefined> => (await from.usage())?.oldestAgeSeconds;
        const store = (name: string) =>
          adapter.store(key(name), sourceOf(pattern(10), { meta: { createdMs: clock.nowMs() } }));
        if (await age(adapter) === undefined) return;
        expect(await age(adapter)).toBe(0);
        for (const name of ["a", "b", "c"]) {
          await store(name);
          clock.advance(10_000);
        }
        await adapter.load(key("a")).then((load) => load?.chunks[Symbol.asyncIterator]().return?.());
        expect(await age(adapter)).toBe(30);
        await store("a");
        expect(await age(adapter)).toBe(20);
        await adapter.delete(key("b"));
        expect(await age(adapter)).toBe(10);
        if (fixture.persistent) expect(await age(await reopen())).toBe(10);
      }),
    );

    for (const wrong of [{ crc32: 1 }, { sizeBytes: 99 }]) {
      test(
        `store fails and keeps nothing when the bytes are not those of ${JSON.stringify(wrong)}`,
        withAdapter(async ({ adapter }) => {
          expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(100), { meta: wrong })))).toBe("tier_failed");
          expect(await adapter.lookup(key("a"))).toBe(undefined);
        }),
      );
    }

    test(
      "an object is invisible until its last byte when it is being stored",
      withAdapter(async ({ adapter }) => {
        const bytes = pattern(600_000);
        const seen: unknown[] = [];
        async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
          for (let at = 0; at < bytes.length; at += 200_000) {
            yield bytes.subarray(at, at + 200_000);
            seen.push(await adapter.lookup(key("a")), await adapter.load(key("a")));
            await expectObjects(adapter, 0);
          }
        }
        const early = metaOf(bytes);
        await adapter.store(key("a"), { chunks: chunks(), early, meta: () => early });
        expect(seen).toEqual([undefined, undefined, undefined, undefined, undefined, undefined]);
      }),
    );

    test(
      "the listener is told of every object by its key when it leaves",
      withAdapter(async ({ adapter, clock, left }) => {
        await adapter.store(key("deleted", "t"), sourceOf(pattern(10)));
        await adapter.delete(key("deleted", "t"));
        await adapter.delete(key("deleted", "t"));
        for (const seed of [1, 2]) await adapter.store(key("é"), sourceOf(pattern(10, seed)));
        await adapter.store(key("expired"), sourceOf(pattern(10), { meta: { expiresMs: clock.nowMs() + 1 } }));
        clock.advance(1);
        await adapter.lookup(key("expired"));
        expect(left.splice(0)).toEqual(["deleted t deleted", "replaced  é", "expired  expired"]);
        clock.advance(1);
        await clearAll(adapter, ["", "t"]);
        expect(left).toEqual(["cleared  é"]);
      }),
    );

    testLimit(
      "the listener is told of every object by its key when it makes room for another",
      withAdapter(async ({ adapter, clock, left }) => {
        await adapter.store(key("é"), sourceOf(pattern(10)));
        clock.advance(1);
        await adapter.store(key("b"), sourceOf(pattern(30_000)));
        await adapter.store(key("c"), sourceOf(pattern(30_000)));
        expect([left[0], left.includes("capacity  b")]).toEqual(["capacity  é", true]);
        left.splice(0);
        await adapter.clear();
        expect(left).toEqual(["cleared  c"]);
      }, 50_000),
    );

    test(
      "delete removes one object when it is there",
      withAdapter(async ({ adapter, removed }) => {
        await adapter.store(key("a"), sourceOf(pattern(10)));
        await adapter.store(key("a", "t"), sourceOf(pattern(20)));
        expect(await adapter.delete(key("a", "t"))).toBe(true);
        expect(await adapter.delete(key("a", "t"))).toBe(false);
        expect(await adapter.load(key("a", "t"))).toBe(undefined);
        expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
        expect(removed).toEqual([`deleted t 1 ${storedBytes(20)}`]);
      }),
    );

    test(
      "an object is a miss everywhere when its time is up",
      withAdapter(async ({ adapter, clock, removed }) => {
        await adapter.store(key("a"), sourceOf(pattern(10), { meta: { expiresMs: clock.nowMs() + 1000 } }));
        clock.advance(999);
        expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
        clock.advance(1);
        expect((await adapter.list({ tenant: "", prefix: "", after: "", limit: 10 })).entries).toEqual([]);
        expect(await adapter.delete(key("a"))).toBe(false);
        expect(await adapter.lookup(key("a"))).toBe(undefined);
        expect(await adapter.load(key("a"))).toBe(undefined);
        await expectObjects(adapter, 0);
        expect(removed).toEqual([`expired  1 ${storedBytes(10)}`]);
      }),
    );

    test(
      "clear removes one tenant's objects or all and says how many when asked to",
      withAdapter(async ({ adapter, removed }) => {
        for (const [name, tenant] of [["a", ""], ["b", "t"], ["c", "t"], ["d", "u"]] as const) {
          await adapter.store(key(name, tenant), sourceOf(pattern(10)));
        }
        expect(await adapter.clear("t")).toBe(2);
        expect(removed).toEqual([`cleared t 2 ${2 * storedBytes(10)}`]);
        expect(await adapter.lookup(key("b", "t"))).toBe(undefined);
        expect(await clearAll(adapter, ["", "t", "u"])).toBe(2);
        await expectObjects(adapter, 0);
        if (knowsUsage) expect(await usedBytes(adapter)).toBe(0);
        expect(removed.slice(1).toSorted()).toEqual(
          ["", "u"].map((tenant) => `cleared ${tenant} 1 ${storedBytes(10)}`),
        );
      }),
    );

    test(
      "list pages through one tenant's keys in byte order when there are many",
      withAdapter(async ({ adapter }) => {
        const names = ["a", "a/b", "a/ü", "a/z", "a0", "A", "b", "ä", "😀", "\ufffd", "a/\u{10ffff}", "a/~"];
        for (const name of names) await adapter.store(key(name), sourceOf(pattern(3)));
        await adapter.store(key("a/other", "t"), sourceOf(pattern(3)));
        const sorted = names.toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
        for (const prefix of ["", "a", "a/", "a/z", "x", "😀"]) {
          const seen: string[] = [];
          for (let more = true; more;) {
            const page = await adapter.list({ tenant: "", prefix, after: seen.at(-1) ?? "", limit: 2 });
            expect(page.entries.length <= 2).toBe(true);
            seen.push(...page.entries.map((entry) => entry.key));
            more = page.more;
          }
          expect(seen).toEqual(sorted.filter((name) => name.startsWith(prefix)));
        }
      }),
    );

    test(
      "keys are kept as they are when they look like paths, control characters or long text",
      withAdapter(async ({ adapter }) => {
        const names = [
          "../../etc/passwd",
          "/",
          ".",
          "..",
          "a\0b",
          "a",
          "\ufeffa",
          "a/../b",
          "%2F",
          "x".repeat(1024),
          "\n",
          "con",
        ];
        for (const [seed, name] of names.entries()) await adapter.store(key(name), sourceOf(pattern(50, seed)));
        for (const [seed, name] of names.entries()) {
          expect(await holds(adapter, key(name), pattern(50, seed))).toBe(true);
        }
        const { entries } = await adapter.list({ tenant: "", prefix: "", after: "", limit: 100 });
        expect(new Set(entries.map((entry) => entry.key))).toEqual(new Set(names));
      }),
    );

    test(
      "objects stay apart when tenant and key could be confused",
      withAdapter(async ({ adapter }) => {
        const pairs = [["", "ab"], ["a", "b"], ["ab", ""]].filter(([, name]) => name !== "");
        for (const [seed, [tenant = "", name = ""]] of pairs.entries()) {
          await adapter.store(key(name, tenant), sourceOf(pattern(50, seed)));
        }
        for (const [seed, [tenant = "", name = ""]] of pairs.entries()) {
          expect(await holds(adapter, key(name, tenant), pattern(50, seed))).toBe(true);
        }
      }),
    );

    testLimit(
      "usage stays within the limit and the newest stays when more is stored than fits",
      withAdapter(async ({ adapter, clock, removed }) => {
        for (let number = 0; number < 12; number += 1) {
          clock.advance(1000);
          await adapter.store(key(`${number}`), sourceOf(pattern(10_000, number)));
          const usage = await adapter.usage();
          expect(usage?.limitBytes).toBe(50_000);
          expect((usage?.usedBytes ?? Infinity) <= 50_000).toBe(true);
          expect(await holds(adapter, key(`${number}`), pattern(10_000, number))).toBe(true);
        }
        const { objects = 0 } = await adapter.usage() ?? {};
        expect(objects >= 4).toBe(true);
        expect(removed.length).toBe(12 - objects);
        expect(new Set(removed)).toEqual(new Set([`capacity  1 ${storedBytes(10_000)}`]));
        expect(await adapter.lookup(key("0"))).toBe(undefined);
      }, 50_000),
    );

    testLimit(
      "an object that was loaded stays longer when room is needed",
      withAdapter(async ({ adapter, clock }) => {
        for (const name of ["a", "b", "c"]) {
          clock.advance(1000);
          await adapter.store(key(name), sourceOf(pattern(15_000)));
        }
        clock.advance(1000);
        await readAll(await adapter.load(key("a")));
        await adapter.store(key("d"), sourceOf(pattern(15_000)));
        expect(await adapter.lookup(key("a")) !== undefined).toBe(true);
        expect(await adapter.lookup(key("b"))).toBe(undefined);
      }, 50_000),
    );

    testLimit(
      "expired objects go before live ones when room is needed",
      withAdapter(async ({ adapter, clock, removed }) => {
        await adapter.store(key("live"), sourceOf(pattern(20_000)));
        await adapter.store(key("dead"), sourceOf(pattern(20_000), { meta: { expiresMs: clock.nowMs() + 1 } }));
        clock.advance(10);
        await adapter.store(key("new"), sourceOf(pattern(20_000)));
        expect(await adapter.lookup(key("live")) !== undefined).toBe(true);
        expect(removed).toEqual([`expired  1 ${storedBytes(20_000)}`]);
      }, 50_000),
    );

    for (const sized of [true, false]) {
      testLimit(
        `store fails with no_room when the object is larger than the limit${sized ? "" : " and does not say so"}`,
        withAdapter(async ({ adapter }) => {
          expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(600_000), { sized })))).toBe("no_room");
          expect(await adapter.lookup(key("a"))).toBe(undefined);
          await adapter.store(key("b"), sourceOf(pattern(40_000)));
          expect(await holds(adapter, key("b"), pattern(40_000))).toBe(true);
        }, 50_000),
      );
    }

    testLimit(
      "an object can be replaced by one of its size when two do not fit",
      withAdapter(async ({ adapter }) => {
        for (const seed of [1, 2, 3]) {
          await adapter.store(key("a"), sourceOf(pattern(40_000, seed)));
          expect(await holds(adapter, key("a"), pattern(40_000, seed))).toBe(true);
        }
      }, 50_000),
    );

    testLimit(
      "usage stays within the limit when many stores run at once",
      withAdapter(async ({ adapter }) => {
        const numbers = Array.from({ length: 20 }, (_, number) => number);
        const results = await Promise.allSettled(
          numbers.map((number) =>
            adapter.store(key(`${number}`), sourceOf(pattern(9000, number), { sized: number % 2 === 0 }))
          ),
        );
        expect(await usedBytes(adapter) <= 50_000).toBe(true);
        expect(results.some((result) => result.status === "fulfilled")).toBe(true);
        for (const result of results) {
          if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "no_room" });
        }
        for (const number of numbers) {
          const bytes = await readAll(await adapter.load(key(`${number}`)));
          if (bytes !== undefined) expect(Buffer.compare(bytes, pattern(9000, number))).toBe(0);
        }
      }, 50_000),
    );

    test(
      "close waits for running calls and refuses further ones when called",
      withAdapter(async ({ adapter }) => {
        await adapter.store(key("a"), sourceOf(pattern(3 * MIB)));
        const load = await adapter.load(key("a"));
        const storing = adapter.store(key("b"), sourceOf(pattern(10)));
        await adapter.close();
        expect((await storing).sizeBytes).toBe(10);
        expect(await codeOf(readAll(load))).toBe("tier_failed");
        expect(await codeOf(adapter.lookup(key("a")))).toBe("tier_failed");
        expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(10))))).toBe("tier_failed");
        await adapter.close();
      }),
    );

    if (fixture.persistent) {
      test(
        "everything is there again when it is reopened",
        withAdapter(async ({ adapter, reopen }) => {
          const meta = await adapter.store(key("a", "t"), sourceOf(pattern(2 * MIB), { meta: { contentType: "x/y" } }));
          await adapter.store(key("b"), sourceOf(pattern(0)));
          await adapter.store(key("c"), sourceOf(pattern(10)));
          await adapter.delete(key("c"));
          const usage = await adapter.usage();
          const again = await reopen();
          expect(await again.lookup(key("a", "t"))).toEqual(meta);
          expect(await holds(again, key("a", "t"), pattern(2 * MIB))).toBe(true);
          expect(await holds(again, key("b"), pattern(0))).toBe(true);
          expect(await again.lookup(key("c"))).toBe(undefined);
          expect(await again.usage()).toEqual(usage);
        }),
      );
    }

    test(
      "has answers for each of many keys what lookup answers: stored, replaced, deleted, expired, of another tenant",
      withAdapter(async ({ adapter, clock }) => {
        const names = Array.from({ length: MANY_KEYS }, (_, i) => `k${i}`);
        const [soon, gone, old, there] = ["k3", "k10", "k500", `k${MANY_KEYS - 1}`];
        const expiresMs = clock.nowMs() + 1000;
        for (const name of [gone, old, there]) await adapter.store(key(name, "t"), sourceOf(pattern(10)));
        await adapter.store(key(soon, "t"), sourceOf(pattern(10), { meta: { expiresMs } }));
        await adapter.store(key("k7", "other"), sourceOf(pattern(10)));
        await adapter.store(key(old, "t"), sourceOf(pattern(300_000)));
        await adapter.delete(key(gone, "t"));
        const held = async () => {
          const answers = await adapter.has(names.map((name) => key(name, "t")));
          expect(answers.length).toBe(MANY_KEYS);
          return names.filter((_name, i) => answers[i]);
        };
        expect(await held()).toEqual([soon, old, there]);
        if (fixture.startMs === undefined) {
          clock.advance(1000);
          expect(await held()).toEqual([old, there]);
        }
        expect(await adapter.has([key("k7", "other")])).toEqual([true]);
        expect(await adapter.has([])).toEqual([]);
        expect(await adapter.has([there, there].map((name) => key(name, "t")))).toEqual([true, true]);
      }),
    );

    test("it behaves like a Map when calls come in any order", async () => {
      const name = fc.constantFrom("a", "a/b", "b", "ü");
      const tenant = fc.constantFrom("", "t");
      const step = fc.oneof(
        fc.record({
          do: fc.constant("put" as const),
          name,
          tenant,
          size: fc.constantFrom(0, 1, 5000, 300_000),
          seed: fc.nat(9),
        }),
        fc.record({ do: fc.constantFrom("get" as const, "delete" as const), name, tenant }),
        fc.record({ do: fc.constantFrom("list" as const, "clear" as const, "reopen" as const), tenant }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) =>
          withAdapter(async ({ adapter, reopen }) => {
            const model = new Map<string, Uint8Array>();
            let current = adapter;
            for (const now of steps) {
              const id = "name" in now ? `${now.tenant}\0${now.name}` : "";
              if (now.do === "put") {
                const bytes = pattern(now.size, now.seed);
                await current.store(key(now.name, now.tenant), sourceOf(bytes));
                model.set(id, bytes);
              } else if (now.do === "get") {
                const all = ["a", "a/b", "b", "ü"];
                expect(await current.has(all.map((each) => key(each, now.tenant))))
                  .toEqual(all.map((each) => model.has(`${now.tenant}\0${each}`)));
                const bytes = await readAll(await current.load(key(now.name, now.tenant)));
                expect(bytes === undefined ? undefined : Buffer.from(bytes).toString("base64"))
                  .toBe(model.has(id) ? Buffer.from(model.get(id) ?? []).toString("base64") : undefined);
              } else if (now.do === "delete") {
                expect(await current.delete(key(now.name, now.tenant))).toBe(model.delete(id));
              } else if (now.do === "list") {
                const { entries } = await current.list({ tenant: now.tenant, prefix: "", after: "", limit: 100 });
                const wanted = [...model.keys()].filter((entry) => entry.startsWith(`${now.tenant}\0`));
                expect(entries.map((entry) => `${now.tenant}\0${entry.key}`)).toEqual(wanted.toSorted());
              } else if (now.do === "clear") {
                const mine = [...model.keys()].filter((entry) => entry.startsWith(`${now.tenant}\0`));
                expect(await current.clear(now.tenant)).toBe(mine.length);
                for (const entry of mine) model.delete(entry);
              } else if (fixture.persistent) {
                current = await reopen();
              }
              await expectObjects(current, model.size);
            }
          })()),
        { numRuns: 15 },
      );
    });
  });
}
