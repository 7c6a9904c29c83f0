/**
 * What a tier in a bucket does when the S3 server, or the way to it, fails; with servers of its own. The long suite
 * runs it (test/e2e/s3tier.ts).
 */
import { expect, test } from "bun:test";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { VitrineError } from "../../../src/core/errors.ts";
import type { L2Adapter, StoreSource } from "../../../src/l2/adapter.ts";
import { openTiers } from "../../../src/l2/mod.ts";
import { DeadUploads } from "../../../src/l2/s3/body_writer.ts";
import { Bucket } from "../../../src/l2/s3/bucket.ts";
import { S3Client } from "../../../src/l2/s3/client.ts";
import { Health } from "../../../src/l2/health.ts";
import { s3Settings } from "../../../src/l2/s3/settings.ts";
import { TierUrl } from "../../../src/l2/url.ts";
import { type Bench, codeOf, holds, inFolder, key, newBench, pattern, readAll, sourceOf } from "../../l2/support.ts";
import { Proxy } from "../shared_tier/proxy.ts";
import { FaultyProxy } from "./faulty_proxy.ts";
import { until } from "../support/until.ts";
import { s3Keys, S3Server, useS3Keys } from "../tools/s3_server.ts";

const MIB = 1024 * 1024;
const timeoutMs = 30_000;
const prefix = "p";

useS3Keys();

async function open(url: string, bench: Bench = newBench()): Promise<L2Adapter> {
  const [tier] = await openTiers([url], {
    ...bench,
    onTierRemoved: (_tier, ...removed) => bench.onRemoved(...removed),
  });
  if (tier === undefined) throw new Error(`open tier: ${url}`);
  return tier;
}

interface Given {
  readonly server: S3Server;
  readonly tier: L2Adapter;
  readonly bench: Bench;
}

/** A server with its tier; both end with the test. */
async function withServer(body: (given: Given) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const server = await S3Server.start(folder);
    const bench = newBench();
    const tier = await open(server.url(prefix), bench);
    try {
      await body({ server, tier, bench });
    } finally {
      await tier.close();
      await server.kill();
    }
  });
}

/** A second tier in the same bucket, through a proxy. */
async function withProxy(
  { server }: Given,
  body: (given: { readonly proxy: Proxy; readonly slow: L2Adapter }) => Promise<void>,
): Promise<void> {
  const proxy = await Proxy.start(server.port);
  const slow = await open(server.url(prefix, proxy.port));
  try {
    await body({ proxy, slow });
  } finally {
    await slow.close();
    proxy.close();
  }
}

async function isUsable(tier: L2Adapter): Promise<boolean> {
  return await until(() => Promise.resolve(tier.trouble === undefined), (usable) => usable, { timeoutMs });
}

/** Changes one byte of the only object's file. */
function flip(server: S3Server, at: number): void {
  const [path = ""] = server.files();
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
  writeFileSync(path, bytes);
}

/** The bucket itself. */
function bucketOf(server: S3Server): Bucket {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = s3Keys;
  const client = new S3Client({
    settings: s3Settings(new TierUrl(server.url(prefix)), {}),
    credentials: () => Promise.resolve({ accessKeyId, secretAccessKey }),
    nowMs: Date.now,
    onSlow() {},
  });
  return new Bucket(client, new Health({ probe: () => Promise.resolve(), onTrouble() {} }));
}

/** The number of unfinished uploads. */
async function uploadsOf(server: S3Server): Promise<number> {
  return (await bucketOf(server).uploads("")).length;
}

test("a stored byte that has changed makes a miss, and is told as corrupt, wherever it lies", async () => {
  await withServer(async ({ server, tier, bench }) => {
    // The first bytes are the generation, the last ones the record of metadata.
    for (const [sizeBytes, places] of [[1000, [0, 15, 500, 1018]], [12 * MIB, [3, 700_000, -10]]] as const) {
      for (const at of places) {
        await tier.store(key("a"), sourceOf(pattern(sizeBytes)));
        flip(server, at);
        expect(await tier.load(key("a"))).toBe(undefined);
        expect(await tier.lookup(key("a"))).toBe(undefined);
        const bytes = at === 0 || at === 3 || at === -10 ? 0 : sizeBytes;
        expect(bench.removed.splice(0)).toEqual([`corrupt  1 ${bytes}`]);
        expect((await tier.usage())?.objects).toBe(0);
      }
    }
    for (const at of [2.5 * MIB, 6.5 * MIB, 11.5 * MIB]) {
      await tier.store(key("a"), sourceOf(pattern(12 * MIB)));
      flip(server, at);
      const load = await tier.load(key("a"));
      // Damage in the first 4 MiB shows before a byte is promised.
      if (at < 4 * MIB) expect(load).toBe(undefined);
      else expect(await codeOf(readAll(load))).toBe("tier_failed");
      expect(await tier.lookup(key("a"))).toBe(undefined);
      expect(bench.removed.splice(0)).toEqual([`corrupt  1 ${12 * MIB}`]);
    }
    // A body that was cut.
    await tier.store(key("a"), sourceOf(pattern(5000)));
    const [path = ""] = server.files();
    writeFileSync(path, readFileSync(path).subarray(0, 3000));
    expect(await tier.load(key("a"))).toBe(undefined);
    expect(bench.removed).toEqual(["corrupt  1 5000"]);
  });
});

test("bytes that change on the way are never stored and never handed out", async () => {
  await withServer(async ({ server, tier }) => {
    const proxy = await FaultyProxy.start({ target: server.port });
    const far = await open(server.url(prefix, proxy.port));
    for (const sizeBytes of [1000, 3 * MIB, 12 * MIB]) {
      await tier.store(key("a"), sourceOf(pattern(sizeBytes)));
      proxy.flips = "requests";
      // The store refuses it by its checksum, and keeps what it has.
      expect(await codeOf(far.store(key("a"), sourceOf(pattern(sizeBytes, 2))))).toBe("tier_failed");
      proxy.flips = "none";
      expect(await holds(far, key("a"), pattern(sizeBytes))).toBe(true);
      proxy.flips = "responses";
      // Damage cannot be told from that of the stored bytes: a miss, or a response that breaks off.
      const load = await far.load(key("a")).catch(() => undefined);
      if (load !== undefined) expect(await codeOf(readAll(load))).toBe("tier_failed");
      proxy.flips = "none";
    }
    await far.close();
    proxy.close();
  });
});

test("a bucket that is not there, or is not ours, is a failure and never a miss", async () => {
  await withServer(async ({ server }) => {
    const lost = await open(server.url(prefix).replace("vitrine-test", "not-there"));
    expect(lost.trouble).toContain("NoSuchBucket");
    for (const call of [lost.lookup(key("a")), lost.load(key("a")), lost.delete(key("a")), lost.usage()]) {
      expect(await codeOf(call)).toBe("tier_failed");
    }
    process.env["AWS_SECRET_ACCESS_KEY"] = "wrong";
    const refused = await open(server.url(prefix));
    useS3Keys();
    expect(refused.trouble).toContain("403");
    expect(refused.trouble).not.toContain("wrong");
    expect(await codeOf(refused.lookup(key("a")))).toBe("tier_failed");
    await Promise.all([lost.close(), refused.close()]);
  });
});

test("a bucket that goes away while the tier is open is a failure, and the tier works again when it is back", async () => {
  await withServer(async ({ server, tier }) => {
    await tier.store(key("a"), sourceOf(pattern(10)));
    renameSync(server.bucketFolder, `${server.bucketFolder}-away`);
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
    expect(await codeOf(tier.lookup(key("never stored")))).toBe("tier_failed");
    renameSync(`${server.bucketFolder}-away`, server.bucketFolder);
    expect(await isUsable(tier)).toBe(true);
    expect(await holds(tier, key("a"), pattern(10))).toBe(true);
  });
});

test("a tier fails at once and says why while its server is down, also at the start, and works again by itself", async () => {
  await withServer(async ({ server, tier }) => {
    await tier.store(key("a"), sourceOf(pattern(2 * MIB)));
    await server.kill();
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
    await until(() => Promise.resolve(tier.trouble), (trouble) => trouble !== undefined, { timeoutMs });
    expect(tier.trouble).not.toBe(undefined);
    expect(await codeOf(tier.store(key("b"), sourceOf(pattern(10))))).toBe("tier_failed");
    const late = await open(server.url(prefix));
    expect(late.trouble).toContain(`127.0.0.1:${server.port}`);
    expect(await codeOf(late.lookup(key("a")))).toBe("tier_failed");
    await server.restart();
    for (const each of [tier, late]) {
      expect(await isUsable(each)).toBe(true);
      expect(await holds(each, key("a"), pattern(2 * MIB))).toBe(true);
    }
    await late.close();
  });
});

test("a server that is stopped loses nothing: calls wait, fail if it takes long, and it is used again by itself", async () => {
  await withServer(async ({ server, tier }) => {
    await tier.store(key("a"), sourceOf(pattern(1000)));
    server.pause();
    const short = tier.lookup(key("a"));
    server.resume();
    expect((await short)?.sizeBytes).toBe(1000);
    server.pause();
    const waiting = tier.load(key("a"));
    // Slow calls start probes, and once those are not answered calls fail at once.
    await until(() => Promise.resolve(tier.trouble), (trouble) => trouble !== undefined, { timeoutMs });
    const startMs = performance.now();
    expect(await codeOf(tier.lookup(key("a")))).toBe("tier_failed");
    expect(performance.now() - startMs < 1000).toBe(true);
    server.resume();
    expect((await waiting)?.meta.sizeBytes).toBe(1000);
    expect(await isUsable(tier)).toBe(true);
    expect(await holds(tier, key("a"), pattern(1000))).toBe(true);
  });
});

test("connections that are cut cost calls, never bytes, and no store that was acknowledged", async () => {
  await withServer(async (given) => {
    await withProxy(given, async ({ proxy, slow }) => {
      const stored = new Map<string, number>();
      let failed = 0;
      for (let round = 0; round < 5; round += 1) {
        const cutting = setInterval(() => proxy.cut(), 15);
        await Promise.all(Array.from({ length: 30 }, async (_, n) => {
          const seed = round * 100 + n;
          await slow.store(key(`${n}`), sourceOf(pattern(n === 0 ? 9 * MIB : n * 5000, seed)))
            .then(() => stored.set(`${n}`, seed), () => {
              failed += 1;
              stored.delete(`${n}`);
            });
        }));
        clearInterval(cutting);
        expect(await isUsable(slow)).toBe(true);
        for (const [name, seed] of stored) {
          const sizeBytes = name === "0" ? 9 * MIB : Number(name) * 5000;
          expect(await holds(given.tier, key(name), pattern(sizeBytes, seed))).toBe(true);
        }
      }
      expect(failed > 0).toBe(true);
    });
  });
});

/** Begins a store through a proxy that keeps back its last step; `isGivenUp`: nobody waits for it after that step. */
async function overtaken(
  tier: L2Adapter,
  { proxy, bytes, isGivenUp }: { readonly proxy: Proxy; readonly bytes: Uint8Array; readonly isGivenUp: boolean },
): Promise<{ readonly storing: Promise<unknown> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const source: StoreSource = {
    ...sourceOf(bytes),
    assertWanted() {
      asked += 1;
      if (isGivenUp && asked > 1) throw new VitrineError("tier_failed", "given up");
      if (asked > 1) return;
      proxy.hold();
      resolve();
    },
  };
  const storing = tier.store(key("a"), source);
  storing.catch(() => {});
  await promise;
  return { storing };
}

test("a store that comes late changes nothing that was made after it", async () => {
  await withServer(async (given) => {
    const { tier } = given;
    await withProxy(given, async ({ proxy, slow }) => {
      for (const sizeBytes of [500, 9 * MIB]) {
        const bytes = pattern(sizeBytes);
        const first = await overtaken(slow, { proxy, bytes, isGivenUp: false });
        await tier.store(key("a"), sourceOf(pattern(700, 2)));
        proxy.release();
        await first.storing;
        expect(await holds(tier, key("a"), pattern(700, 2))).toBe(true);

        const second = await overtaken(slow, { proxy, bytes, isGivenUp: true });
        expect(await tier.delete(key("a"))).toBe(true);
        proxy.release();
        expect(await codeOf(second.storing)).toBe("tier_failed");
        expect(await tier.lookup(key("a"))).toBe(undefined);

        await tier.store(key("a"), sourceOf(pattern(10)));
        const third = await overtaken(slow, { proxy, bytes, isGivenUp: true });
        expect(await tier.clear()).toBe(1);
        proxy.release();
        expect(await codeOf(third.storing)).toBe("tier_failed");
        expect(await tier.lookup(key("a"))).toBe(undefined);
      }
      expect(await uploadsOf(given.server)).toBe(0);
    });
  });
});

test("a deletion that comes late concerns only what was there when it was asked for", async () => {
  await withServer(async (given) => {
    const { tier } = given;
    await withProxy(given, async ({ proxy, slow }) => {
      await tier.store(key("a"), sourceOf(pattern(500)));
      const before = proxy.passed;
      proxy.delayMs = 300;
      const deleting = slow.delete(key("a"));
      // It has looked at the object, and its request is on the way.
      await until(() => Promise.resolve(proxy.passed), (count) => count > before, { timeoutMs, everyMs: 5 });
      await tier.store(key("a"), sourceOf(pattern(600, 2)));
      expect(await deleting).toBe(true);
      expect(await holds(tier, key("a"), pattern(600, 2))).toBe(true);
    });
  });
});

test("two servers that store one new key at once agree on the newer one", async () => {
  await withServer(async ({ server, tier }) => {
    const other = await open(server.url(prefix));
    for (let round = 0; round < 20; round += 1) {
      const version = 1_800_000_000_000_000 + round;
      const storing = [tier, other].map((each, n) =>
        each.store(key(`${round}`), sourceOf(pattern(100, n + 1), { meta: { version: version + n } }))
      );
      await Promise.all(storing);
      const found = await Promise.all([tier, other].map((each) => each.lookup(key(`${round}`))));
      expect(found.map((meta) => meta?.version)).toEqual([found[0]?.version, found[0]?.version]);
      const winner = (found[0]?.version ?? 0) - version;
      expect(await holds(tier, key(`${round}`), pattern(100, winner + 1))).toBe(true);
    }
    await other.close();
  });
});

test("large objects come and go in parts, and a store that fails leaves none", async () => {
  await withServer(async ({ server, tier, bench }) => {
    for (const sized of [true, false]) {
      const bytes = pattern(21 * MIB + 3, 5);
      await tier.store(key("big"), sourceOf(bytes, { sized, meta: { headers: "content-encoding:gzip\n" } }));
      expect((await tier.lookup(key("big")))?.headers).toBe("content-encoding:gzip\n");
      expect(await holds(tier, key("big"), bytes)).toBe(true);
      for (const [start, end] of [[4 * MIB - 1, 9 * MIB + 1], [20 * MIB, bytes.length], [0, 1], [7, 7]] as const) {
        const part = await readAll(await tier.load(key("big"), { start, end }));
        expect(Buffer.compare(part ?? pattern(1), bytes.subarray(start, end))).toBe(0);
      }
    }
    expect(bench.removed.splice(0)).toEqual([`replaced  1 ${21 * MIB + 3}`]);
    async function* breaking(): AsyncGenerator<Uint8Array, void, void> {
      yield pattern(20 * MIB);
      expect(await uploadsOf(server)).toBe(1);
      throw new Error("the client is gone");
    }
    const meta = (): never => {
      throw new Error("not asked");
    };
    await expect(tier.store(key("big"), { chunks: breaking(), meta })).rejects.toThrow("gone");
    expect(await uploadsOf(server)).toBe(0);
    // A load whose object is replaced breaks off; it never mixes the two.
    const load = await tier.load(key("big"));
    await tier.store(key("big"), sourceOf(pattern(21 * MIB + 3, 6)));
    expect(await codeOf(readAll(load))).toBe("tier_failed");
    expect(await tier.clear()).toBe(1);
    expect(bench.removed.at(-1)).toBe(`cleared  1 ${21 * MIB + 3}`);
  });
});

test("the parts of an upload that died with its server are removed a day later, and no others", async () => {
  await withServer(async ({ server, tier }) => {
    const bucket = bucketOf(server);
    await bucket.begin(`${prefix}/-/dead`, {});
    await bucket.begin("other/-/dead", {});
    await new DeadUploads(bucket, { prefix, nowMs: Date.now }).remove();
    expect(await uploadsOf(server)).toBe(2);
    await new DeadUploads(bucket, { prefix, nowMs: () => Date.now() + 25 * 3_600_000 }).remove();
    expect((await bucket.uploads("")).map(({ name }) => name)).toEqual(["other/-/dead"]);
    expect(await tier.lookup(key("dead"))).toBe(undefined);
  });
});

test("what is in the bucket besides stays: it is no object, and CLEAR leaves it", async () => {
  await withServer(async ({ server, tier }) => {
    await tier.store(key("a"), sourceOf(pattern(10)));
    const [path = ""] = server.files();
    const foreign = [
      path.replace(/a$/, "b c.txt"),
      path.replace(/p\/-\/a$/, "notes"),
      path.replace(/-\/a$/, "README.md"),
    ];
    for (const each of foreign) writeFileSync(each, "hello");
    // Named like an object, but none.
    writeFileSync(path.replace(/a$/, "c"), "hello");
    expect(await tier.lookup(key("c"))).toBe(undefined);
    expect((await tier.list({ tenant: "", prefix: "", after: "", limit: 10 })).entries.map((each) => each.key))
      .toEqual(["a"]);
    await tier.store(key("c"), sourceOf(pattern(20)));
    expect(await holds(tier, key("c"), pattern(20))).toBe(true);
    expect(await tier.clear()).toBe(2);
    expect(server.files().toSorted()).toEqual(foreign.toSorted());
    for (const each of foreign) rmSync(each);
  });
});

test("long keys and tenants are listed in the order of their bytes, and many objects are cleared", async () => {
  await withServer(async ({ server, tier }) => {
    const long = "ü".repeat(200);
    const tenant = "é".repeat(64);
    const names = ["a", long, `${long}/a`, `${long}/b`, `${long}-`, `${long}~`, `${long}${"z".repeat(300)}`, "z"];
    for (const [seed, name] of names.entries()) await tier.store(key(name, tenant), sourceOf(pattern(10, seed)));
    for (const limit of [1, 2, 100]) {
      const seen: string[] = [];
      for (let more = true; more;) {
        const page = await tier.list({ tenant, prefix: "", after: seen.at(-1) ?? "", limit });
        seen.push(...page.entries.map((entry) => entry.key));
        more = page.more;
      }
      expect(seen).toEqual(names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    }
    expect((await tier.list({ tenant, prefix: `${long}/`, after: "", limit: 9 })).entries.length).toBe(2);
    // More than fit into one page or one request: files named like objects stand for them.
    await tier.store(key("z"), sourceOf(pattern(10)));
    const [path = ""] = server.files().filter((each) => each.endsWith("/-/z"));
    for (let n = 0; n < 1005; n += 1) writeFileSync(path.replace(/z$/, `many${n}`), "hello");
    expect((await tier.list({ tenant: "", prefix: "", after: "", limit: 9 })).entries.length).toBe(1);
    expect(await tier.clear("")).toBe(1006);
    expect(await tier.clear()).toBe(names.length);
    expect(server.files()).toEqual([]);
  });
});
