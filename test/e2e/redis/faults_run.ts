/**
 * What a tier in a Redis does when the engine, or the way to it, fails; with engines of its own. The long suite runs it
 * (test/e2e/redis.ts).
 */
import { expect, test } from "bun:test";
import type { L2Adapter, StoreSource } from "../../../src/l2/adapter.ts";
import { openTiers } from "../../../src/l2/mod.ts";
import { type Bench, codeOf, holds, inFolder, key, newBench, pattern, readAll, sourceOf } from "../../l2/support.ts";
import { until } from "../support/until.ts";
import { RedisServer } from "../tools/redis_server.ts";
import { Proxy } from "../shared_tier/proxy.ts";

const MIB = 1024 * 1024;
const timeoutMs = 20_000;

async function open(url: string, bench: Bench = newBench()): Promise<L2Adapter> {
  const [tier] = await openTiers([url], bench);
  if (tier === undefined) throw new Error(`open tier: ${url}`);
  return tier;
}

/** An engine with its tier; both end with the test. */
async function withEngine(
  body: (given: { engine: RedisServer; tier: L2Adapter; bench: Bench; url: string }) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  await inFolder(async (folder) => {
    const engine = await RedisServer.start(folder, args);
    const url = `redis://127.0.0.1:${engine.port}`;
    const bench = newBench();
    const tier = await open(url, bench);
    try {
      await body({ engine, tier, bench, url });
    } finally {
      await tier.close();
      await engine.kill();
    }
  });
}

async function isUsable(tier: L2Adapter): Promise<boolean> {
  return await until(() => Promise.resolve(tier.trouble === undefined), (usable) => usable, { timeoutMs });
}

/** The names of a kind in the engine: o objects, c chunks. */
function namesOf(engine: RedisServer, kind: string): readonly string[] {
  return engine.command("--scan", "--pattern", `{vitrine:0}:${kind}:*`).split("\n").filter((name) => name !== "");
}

test("a stored byte that has changed makes a miss, and is told as corrupt, wherever it lies", async () => {
  await withEngine(async ({ engine, tier, bench }) => {
    // What the objects are named does not pass through redis-cli: names with NUL are reached by a script.
    const flip = (field: string): string =>
      engine.command(
        "eval",
        `local name = redis.call('KEYS', '{vitrine:0}:o:*')[1]
         local value = redis.call('HGET', name, '${field}')
         local byte = string.char((string.byte(value, 7) + 1) % 256)
         return redis.call('HSET', name, '${field}', string.sub(value, 1, 6) .. byte .. string.sub(value, 8))`,
        "0",
      );
    for (const field of ["b", "m"]) {
      await tier.store(key("a"), sourceOf(pattern(1000)));
      flip(field);
      expect(await tier.load(key("a"))).toBe(undefined);
      expect(await tier.lookup(key("a"))).toBe(undefined);
      expect(bench.removed.splice(0)).toEqual([`corrupt  1 ${field === "b" ? 1000 : 0}`]);
      expect((await tier.usage())?.objects).toBe(0);
    }
    for (const chunk of [0, 2]) {
      await tier.store(key("big"), sourceOf(pattern(3 * MIB)));
      const [name = ""] = namesOf(engine, "c").filter((each) =>
        each.endsWith(`:${chunk}`) && Number(engine.command("pttl", each)) > 3_600_000
      );
      engine.command("setrange", name, "500000", "x");
      const load = await tier.load(key("big"));
      // Damage in the first chunk shows before a byte is promised.
      if (chunk === 0) expect(load).toBe(undefined);
      else expect(await codeOf(readAll(load))).toBe("tier_failed");
      expect(await tier.lookup(key("big"))).toBe(undefined);
      expect(bench.removed.splice(0)).toEqual([`corrupt  1 ${3 * MIB}`]);
    }
    await tier.store(key("big"), sourceOf(pattern(3 * MIB)));
    const fresh = namesOf(engine, "c").filter((name) => Number(engine.command("pttl", name)) > 3_600_000);
    engine.command("del", fresh.find((name) => name.endsWith(":0")) ?? "");
    expect(await tier.load(key("big"))).toBe(undefined);
    expect(bench.removed).toEqual([`capacity  1 ${3 * MIB}`]);
  });
});

test("a tier fails at once and says why while its engine is down, also at the start, and works again by itself", async () => {
  await withEngine(async ({ engine, tier, url }) => {
    await tier.store(key("a"), sourceOf(pattern(2 * MIB)));
    await engine.kill();
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
    await until(() => Promise.resolve(tier.trouble), (trouble) => trouble !== undefined, { timeoutMs });
    expect(await codeOf(tier.store(key("b"), sourceOf(pattern(10))))).toBe("tier_failed");
    const late = await open(url);
    expect(late.trouble).toContain("ECONNREFUSED");
    expect(await codeOf(late.lookup(key("a")))).toBe("tier_failed");
    await engine.restart();
    for (const each of [tier, late]) {
      expect(await isUsable(each)).toBe(true);
      expect(await holds(each, key("a"), pattern(2 * MIB))).toBe(true);
    }
    await late.close();
  }, ["--appendonly", "yes", "--appendfsync", "always"]);
});

test("an engine that is stopped for a while loses nothing; calls under way wait, or fail if it takes too long", async () => {
  await withEngine(async ({ engine, tier }) => {
    await tier.store(key("a"), sourceOf(pattern(1000)));
    engine.pause();
    const short = tier.lookup(key("a"));
    engine.resume();
    expect((await short)?.sizeBytes).toBe(1000);
    engine.pause();
    expect(await codeOf(tier.load(key("a")))).toBe("tier_failed");
    expect(tier.trouble === undefined).toBe(false);
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
    engine.resume();
    expect(await isUsable(tier)).toBe(true);
    expect(await holds(tier, key("a"), pattern(1000))).toBe(true);
  });
});

test("connections that are cut cost calls, never bytes", async () => {
  await withEngine(async ({ engine, tier }) => {
    const stored = new Map<string, number>();
    let failed = 0;
    for (let round = 0; round < 6; round += 1) {
      const calls = Array.from({ length: 40 }, async (_, n) => {
        const [name, seed] = [`${n % 8}`, round * 100 + n];
        const sizeBytes = n % 8 === 0 ? 2 * MIB + 5 : 2000;
        await tier.store(key(`${name}/${n}`), sourceOf(pattern(sizeBytes, seed)))
          .then(() => stored.set(`${name}/${n}`, seed), () => {
            failed += 1;
            stored.delete(`${name}/${n}`);
          });
      });
      engine.command("client", "kill", "type", "normal");
      await Promise.all(calls);
      expect(await isUsable(tier)).toBe(true);
      for (const [name, seed] of stored) {
        const sizeBytes = Number(name.split("/")[1]) % 8 === 0 ? 2 * MIB + 5 : 2000;
        expect(await holds(tier, key(name), pattern(sizeBytes, seed))).toBe(true);
      }
    }
    expect(failed > 0).toBe(true);
  });
});

/** Begins a store through a proxy that keeps back its last step. */
async function overtaken(
  tier: L2Adapter,
  { proxy, bytes }: { readonly proxy: Proxy; readonly bytes: Uint8Array },
): Promise<{ readonly storing: Promise<unknown> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const source: StoreSource = {
    ...sourceOf(bytes),
    assertWanted() {
      proxy.hold();
      resolve();
    },
  };
  const storing = tier.store(key("a"), source);
  await promise;
  return { storing };
}

test("a store that comes late changes nothing that was made after it", async () => {
  await withEngine(async ({ engine, tier }) => {
    const proxy = await Proxy.start(engine.port);
    const slow = await open(`redis://127.0.0.1:${proxy.port}`);
    for (const sizeBytes of [500, 2 * MIB]) {
      const bytes = pattern(sizeBytes);
      const first = await overtaken(slow, { proxy, bytes });
      await tier.store(key("a"), sourceOf(pattern(700, 2)));
      proxy.release();
      await first.storing;
      expect(await holds(tier, key("a"), pattern(700, 2))).toBe(true);

      const second = await overtaken(slow, { proxy, bytes });
      expect(await tier.delete(key("a"))).toBe(true);
      proxy.release();
      await second.storing;
      expect(await tier.lookup(key("a"))).toBe(undefined);

      await tier.store(key("b"), sourceOf(pattern(10)));
      const third = await overtaken(slow, { proxy, bytes });
      expect(await tier.clear()).toBe(1);
      proxy.release();
      await third.storing;
      expect(await tier.lookup(key("a"))).toBe(undefined);
      expect(await tier.usage()).toMatchObject({ objects: 0, usedBytes: 0 });
    }
    const lasting = namesOf(engine, "c").filter((name) => Number(engine.command("pttl", name)) > 60_000);
    expect(lasting).toEqual([]);
    await slow.close();
    proxy.close();
  });
});

test("a deletion that comes late concerns only what was there when it was asked for", async () => {
  await withEngine(async ({ engine, tier }) => {
    const proxy = await Proxy.start(engine.port);
    const slow = await open(`redis://127.0.0.1:${proxy.port}`);
    await tier.store(key("a"), sourceOf(pattern(500)));
    // It takes its number, and then comes behind the store.
    const scripts = (): string => engine.command("info", "commandstats").match(/cmdstat_evalsha:calls=\d+/)?.[0] ?? "";
    const before = scripts();
    proxy.delayMs = 300;
    const deleting = slow.delete(key("a"));
    await until(() => Promise.resolve(scripts()), (now) => now !== before, { timeoutMs });
    await tier.store(key("a"), sourceOf(pattern(600, 2)));
    await deleting;
    expect(await holds(tier, key("a"), pattern(600, 2))).toBe(true);
    await slow.close();
    proxy.close();
  });
});

test("a full engine that evicts nothing refuses stores with no_room, and goes on with all else", async () => {
  await withEngine(async ({ engine, tier }) => {
    engine.command("config", "set", "maxmemory-policy", "noeviction");
    await tier.store(key("a"), sourceOf(pattern(2 * MIB)));
    engine.command("config", "set", "maxmemory", "5mb");
    for (const sizeBytes of [MIB, 8 * MIB]) {
      for (let n = 0, isFull = false; n < 9 && !isFull; n += 1) {
        isFull = await codeOf(tier.store(key(`${sizeBytes}/${n}`), sourceOf(pattern(sizeBytes)))).catch(() => "") ===
          "no_room";
        expect(isFull || n < 8).toBe(true);
      }
    }
    expect(await codeOf(tier.store(key("small"), sourceOf(pattern(200_000))))).toBe("no_room");
    expect(await holds(tier, key("a"), pattern(2 * MIB))).toBe(true);
    const { objects = -1 } = await tier.usage() ?? {};
    expect((await tier.list({ tenant: "", prefix: "", after: "", limit: 100 })).entries.length).toBe(objects);
    // Now it is over its limit by far, and what is asked of it makes no room.
    engine.command("config", "set", "maxmemory", "1mb");
    expect(await tier.clear("nobody")).toBe(0);
    expect(await codeOf(tier.store(key("b"), sourceOf(pattern(1))))).toBe("no_room");
    expect(await tier.delete(key("a"))).toBe(true);
    expect(await tier.clear()).toBe(objects - 1);
    expect(await tier.usage()).toMatchObject({ objects: 0, usedBytes: 0 });
    expect(tier.trouble).toBe(undefined);
  });
});

for (const policy of ["allkeys-lru", "volatile-lru"]) {
  test(`an engine that evicts by ${policy} gives right bytes or misses`, async () => {
    await withEngine(async ({ engine, tier, bench }) => {
      const sizes = [3000, 40_000, MIB + 7];
      const names = Array.from({ length: 120 }, (_, n) => n);
      for (const n of names) {
        await tier.store(key(`${n}`), sourceOf(pattern(sizes[n % 3] ?? 0, n))).catch(() => undefined);
      }
      let right = 0;
      for (const n of names) {
        const bytes = await readAll(await tier.load(key(`${n}`)).catch(() => undefined)).catch(() => undefined);
        if (bytes === undefined) continue;
        expect(Buffer.compare(bytes, pattern(sizes[n % 3] ?? 0, n))).toBe(0);
        right += 1;
      }
      expect(right > 5 && right < 115).toBe(true);
      expect(bench.removed.every((line) => line.startsWith("capacity"))).toBe(true);
      const there = () => namesOf(engine, "o").length;
      // A policy allkeys-* may evict the books, too: then they know of fewer.
      const fits = (known: number): boolean => policy === "allkeys-lru" ? known <= there() : known === there();
      const counted = async (): Promise<number> => (await tier.usage())?.objects ?? -1;
      const objects = await until(counted, fits, { timeoutMs });
      expect(fits(objects)).toBe(true);
      const { entries } = await tier.list({ tenant: "", prefix: "", after: "", limit: 1000 });
      expect(fits(entries.length)).toBe(true);
      await tier.clear();
      expect(there()).toBe(0);
    }, ["--maxmemory", "24mb", "--maxmemory-policy", policy]);
  });
}

test("everything expires in the engine but its books, and what an upload leaves behind", async () => {
  await withEngine(async ({ engine, tier, bench }) => {
    await tier.store(key("short"), sourceOf(pattern(10), { meta: { expiresMs: bench.clock.nowMs() + 5000 } }));
    const [short = ""] = namesOf(engine, "o");
    const ttlMs = Number(engine.command("eval", "return redis.call('PTTL', redis.call('KEYS', '*:o:*')[1])", "0"));
    expect([short !== "", ttlMs > 60_000, ttlMs <= 65_000]).toEqual([true, true, true]);
    const leftTtlsMs: number[] = [];
    async function* breaking(): AsyncGenerator<Uint8Array, void, void> {
      yield pattern(3 * MIB);
      await until(() => Promise.resolve(namesOf(engine, "c").length), (count) => count === 2, { timeoutMs });
      leftTtlsMs.push(...namesOf(engine, "c").map((name) => Number(engine.command("pttl", name))));
      throw new Error("the client is gone");
    }
    const meta = (): never => {
      throw new Error("not asked");
    };
    await expect(tier.store(key("big"), { chunks: breaking(), meta })).rejects.toThrow("gone");
    expect(leftTtlsMs.length).toBe(2);
    expect(leftTtlsMs.every((each) => each > 0 && each <= 3_600_000)).toBe(true);
    expect(namesOf(engine, "c")).toEqual([]);
  });
});

test("a thousand lookups of one turn go together", async () => {
  await withEngine(async ({ engine, tier }) => {
    const names = Array.from({ length: 1000 }, (_, n) => `${n}`);
    await Promise.all(names.map((name) => tier.store(key(name), sourceOf(pattern(10)))));
    const proxy = await Proxy.start(engine.port);
    const far = await open(`redis://127.0.0.1:${proxy.port}`);
    proxy.delayMs = 50;
    const startMs = performance.now();
    const found = await Promise.all(names.map((name) => far.lookup(key(name))));
    expect(found.every((meta) => meta?.sizeBytes === 10)).toBe(true);
    // One after the other they would take 50 seconds.
    expect(performance.now() - startMs < 5000).toBe(true);
    await far.close();
    proxy.close();
  });
});
