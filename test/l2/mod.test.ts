import { expect, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { systemDisk } from "../../src/l2/file/disk.ts";
import { defaultLimitBytes } from "../../src/l2/file/store/free_space.ts";
import { checkTiers, openTiers } from "../../src/l2/mod.ts";
import { adapters } from "../../src/l2/schemes.ts";
import { engineSchemes, fixtures } from "./fixtures.ts";
import { codeOf, inFolder, key, newBench, pattern, sourceOf } from "./support.ts";
import type { ObjectKey } from "../../src/core/object.ts";

test("every adapter listed in src/l2/mod.ts is held to the conformance suite", () => {
  expect([...Object.keys(fixtures), ...engineSchemes].toSorted()).toEqual([...adapters.keys()].toSorted());
});

test("openTiers opens tiers in order with their names when given URLs", async () => {
  await inFolder(async (folder) => {
    const urls = [
      `file://${folder}/a%20b?max=1.5MiB`,
      "memory://?max=64KiB",
      `file:${folder}/c?fsync=off`,
      "memory:?name=m",
    ];
    const tiers = await openTiers(urls, newBench());
    try {
      expect(tiers.map((tier) => tier.name)).toEqual(["fs", "memory", "fs2", "m"]);
      const limits = await Promise.all(tiers.map(async (tier) => (await tier.usage())?.limitBytes));
      const share = defaultLimitBytes(systemDisk.space(folder)?.capacityBytes ?? 0);
      expect(limits).toEqual([1.5 * 1024 * 1024, 65536, share, 0]);
      expect(existsSync(join(folder, "a b", "index.sqlite"))).toBe(true);
    } finally {
      for (const tier of tiers) await tier.close();
    }
  });
});

test("openTiers tells the listener which tier an object has left", async () => {
  const told: string[] = [];
  const onTierRemoved = (tier: number, { key: name }: ObjectKey, reason: string) =>
    void told.push(`${tier} ${reason} ${name}`);
  const tiers = await openTiers(["memory:", "memory:?name=m"], { ...newBench(), onTierRemoved });
  for (const [index, tier] of tiers.entries()) {
    await tier.store(key(`${index}`), sourceOf(pattern(10)));
    await tier.clear();
    await tier.close();
  }
  expect(told).toEqual(["0 cleared 0", "1 cleared 1"]);
});

for (
  const [url, named] of [
    ["ftp://x", "ftp:"],
    ["nonsense", "scheme://path"],
    ["file:", "folder"],
    ["file://var/lib/x", "write file:///var/lib/x or file://./var/lib/x"],
    ["file://...", "write file:///..."],
    ["file:///tmp/x?max=lots", "lots"],
    ["file:///tmp/x?max=10XB", "10XB"],
    ["file:///tmp/x?fsync=maybe", "maybe"],
    ["file:///tmp/x?colour=red", "colour"],
    ["file:///tmp/%zz", "percent"],
    ["memory://?name=Bad%20Name", "Bad Name"],
    ["memory://?name=l1", "l1"],
  ] as const
) {
  test(`openTiers throws bad_request and names what is wrong when given ${url}`, async () => {
    const opening = openTiers([url], newBench());
    expect(await codeOf(opening)).toBe("bad_request");
    await expect(opening).rejects.toThrow(named);
  });
}

test("openTiers leaves no tier open when one cannot be opened", async () => {
  await inFolder(async (folder) => {
    const opening = openTiers([`file://${folder}/a`, "file:///dev/null/x"], newBench());
    expect(await codeOf(opening)).toBe("tier_failed");
    // Nobody holds the first one's lock, which is exclusive.
    const [tier] = await openTiers([`file://${folder}/a`], newBench());
    await tier?.store(key("a"), sourceOf(pattern(10)));
    await tier?.close();
  });
});

test("checkTiers refuses two tiers in one folder, however its path is written, and opens nothing", async () => {
  await inFolder((folder) => {
    mkdirSync(join(folder, "real"));
    symlinkSync(join(folder, "real"), join(folder, "link"));
    for (
      const other of ["real/", "./real", "real?max=1MiB&name=b", "real/../real", "link", "%72eal"]
    ) {
      expect(() => checkTiers([`file://${folder}/real?fsync=off`, `file://${folder}/${other}`], 1)).toThrow(
        "one folder",
      );
    }
    expect(() => checkTiers([`file://${folder}/link/new/a`, `file://${folder}/real/new/a/`], 1)).toThrow("one folder");
    checkTiers([`file://${folder}/real`, `file://${folder}/link/other`], 8);
    expect(existsSync(join(folder, "real", "index.sqlite"))).toBe(false);
    return Promise.resolve();
  });
});

test("checkTiers refuses a tier that each thread would have for itself when there are several", () => {
  checkTiers(["memory://"], 1);
  expect(() => checkTiers(["memory://"], 2)).toThrow("workers must be 1, not 2");
});

test("openTiers takes on_error from the URL of any tier", async () => {
  const tiers = await openTiers(["memory://", "memory://?on_error=miss", "memory://?on_error=fail"], newBench());
  expect(tiers.map(({ missesOnError }) => missesOnError)).toEqual([false, true, false]);
  for (const tier of tiers) await tier.close();
  await expect(openTiers(["memory://?on_error=hit"], newBench())).rejects.toThrow("on_error must be miss or fail: hit");
});

test("openTiers takes store from the URL of any tier", async () => {
  const tiers = await openTiers(["memory://", "memory://?store=off", "memory://?store=on"], newBench());
  expect(tiers.map(({ takesStores }) => takesStores)).toEqual([true, false, true]);
  for (const tier of tiers) await tier.close();
  await expect(openTiers(["memory://?store=no"], newBench())).rejects.toThrow("store must be on or off: no");
});

test("checkTiers refuses tiers of which none takes stores", () => {
  checkTiers(["memory://?store=off", "memory://"], 1);
  checkTiers([], 1);
  for (const urls of [["memory://?store=off"], ["memory://?store=off", "memory://?store=off"]]) {
    expect(() => checkTiers(urls, 1)).toThrow("store=off on every tier: one of them must store what is written");
  }
});
