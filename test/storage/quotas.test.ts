import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QuotaFile } from "../../src/storage/quota_file.ts";
import { TenantQuotas } from "../../src/storage/quotas.ts";
import { makeL1, put } from "../l1/support.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-quotas-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const turn = () => Promise.resolve();
const publish = () => {};
const soft = (limitBytes: number) => ({ limitBytes, isStrict: false });

function pathOf(name: string): string {
  mkdirSync(join(folder, name));
  return join(folder, name, "quotas.json");
}

function quotasOver(path: string, { l1 } = makeL1()): TenantQuotas {
  return new TenantQuotas({ l1, file: new QuotaFile(path), publish, turn });
}

async function codeOf(run: Promise<unknown>): Promise<unknown> {
  return await run.then(() => "done", (error: { readonly code?: string }) => error.code);
}

test("quotas that were set are in the file, and nothing else is left beside it", async () => {
  const path = pathOf("kept");
  const quotas = quotasOver(path);
  expect(await new QuotaFile(path).load()).toEqual([]);
  await quotas.set("b", { limitBytes: 2 ** 40, isStrict: true });
  await quotas.set("", soft(0));
  await quotas.set("c", soft(3));
  await quotas.set("c", undefined);
  expect(await new QuotaFile(path).load()).toEqual([
    { tenant: "", limitBytes: 0, isStrict: false },
    { tenant: "b", limitBytes: 2 ** 40, isStrict: true },
  ]);
  expect(readdirSync(join(folder, "kept"))).toEqual(["quotas.json"]);
});

test("two threads that set quotas at the same time both find them in the file", async () => {
  const path = pathOf("both");
  const l1 = makeL1();
  const threads = [quotasOver(path, l1), quotasOver(path, l1)];
  await Promise.all(
    Array.from({ length: 40 }, (_, i) => threads[i % 2]?.set(`t${i}`, soft(i))),
  );
  const kept = await new QuotaFile(path).load();
  const wanted = Array.from({ length: 40 }, (_, i) => `t${i} ${i}`);
  expect(kept.map(({ tenant, limitBytes }) => `${tenant} ${limitBytes}`).toSorted()).toEqual(wanted.toSorted());
});

test("keep mends a file that a thread left behind with older quotas", async () => {
  const path = pathOf("mend");
  const quotas = quotasOver(path);
  await quotas.set("a", soft(1));
  const wanted = readFileSync(path, "utf8");
  writeFileSync(path, "[]\n");
  await quotas.keep();
  expect(readFileSync(path, "utf8")).toBe(wanted);
});

test("a quota that cannot be written down is in effect, and set says that it is not kept", async () => {
  const l1 = makeL1();
  const quotas = quotasOver(join(folder, "no such folder", "quotas.json"), l1);
  expect(await codeOf(quotas.set("a", soft(5)))).toBe("quota_not_kept");
  expect(l1.l1.quotas()).toEqual([{ tenant: "a", limitBytes: 5, isStrict: false, usedBytes: 0 }]);
});

test("load refuses a file that holds no quotas", async () => {
  const path = pathOf("bad");
  const row = { tenant: "a", limit_bytes: 1, strict: false };
  const texts = [
    "",
    "{",
    "{}",
    "[1]",
    ...[
      { ...row, tenant: 1 },
      { ...row, tenant: "é" },
      { ...row, tenant: "t".repeat(129) },
      { ...row, limit_bytes: -1 },
      { ...row, limit_bytes: 0.5 },
      { ...row, strict: "yes" },
    ].map((bad) => JSON.stringify([row, bad])),
  ];
  for (const text of texts) {
    writeFileSync(path, text);
    expect([text, await codeOf(new QuotaFile(path).load())]).toEqual([text, "bad_request"]);
  }
});

test("set refuses one tenant more than may have a quota; without a file nothing is kept", async () => {
  const { l1 } = makeL1({ maxQuotas: 1 });
  const quotas = new TenantQuotas({ l1, file: undefined, publish, turn });
  expect([quotas.areKept, await quotas.set("a", soft(1))]).toEqual([false, true]);
  expect(await codeOf(quotas.set("b", soft(1)))).toBe("too_many_quotas");
  expect(await quotas.set("b", undefined)).toBe(false);
});

test("get and usedBy count what a tenant has, with a quota or without one", async () => {
  const l1 = makeL1();
  const quotas = new TenantQuotas({ l1: l1.l1, file: undefined, publish, turn });
  put(l1.l1, "k", "x".repeat(1000), { key: { tenant: "a", key: "k" } });
  expect([await quotas.usedBy("a"), await quotas.usedBy("b"), await quotas.get("a")]).toEqual([1024, 0, undefined]);
  l1.l1.setQuota("a", soft(10));
  expect([await quotas.usedBy("a"), await quotas.get("a")]).toEqual([
    1024,
    { tenant: "a", limitBytes: 10, isStrict: false, usedBytes: 1024 },
  ]);
});
