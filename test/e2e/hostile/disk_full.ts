import { rmSync, writeFileSync } from "node:fs";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { CLEAR, TierServer, withTmpfs } from "./tier_server.ts";

const BODY = new Uint8Array(900_000).fill(7);
const OK = [200, 201];

/** Disks that fill up: by the server itself, by others, by inodes; full at the start and at the stop. */
export const diskFull: HostileCase = {
  name: "disk-full",
  async run(run) {
    await filledByItself(run);
    await filledByOthers(run);
    await withoutInodes(run);
  },
};

async function filledByItself({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const disk = `${folder}/own`;
  await withTmpfs(disk, "size=48m", async () => {
    let server = await TierServer.start(runtime, { l2: `file://${disk}/t` });
    for (const durability of ["l2", "l1"] as const) {
      const answers: number[] = [];
      for (let n = 0; n < 70; n += 1) answers.push(await server.put(`${durability}/${n}`, BODY, { durability }));
      checks.that(
        `70 PUTs (${durability}) into a disk for 50 succeed`,
        answers.every((status) => OK.includes(status)),
        () => answers.join(" "),
      );
    }
    checks.equal("DELETE on a full disk", { actual: await server.delete("l1/69"), expected: 204 });
    checks.that("it evicts", await server.metric("vitrine_l2_removed_objects_total", "capacity") > 50);
    checks.equal("stop on a full disk", { actual: await server.stop(), expected: 0 });
    server = await TierServer.start(runtime, { l2: `file://${disk}/t` });
    checks.equal("what was stored last is there after a restart", {
      actual: (await server.get("l1/68")).status,
      expected: 200,
    });
    await server.stop();
  });
}

async function filledByOthers({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const disk = `${folder}/others`;
  await withTmpfs(disk, "size=32m", async () => {
    const l2 = `file://${disk}/t?max=1GiB`;
    let server = await TierServer.start(runtime, { l2 });
    for (let n = 0; n < 10; n += 1) await server.put(`${n}`, BODY);
    fill(`${disk}/foreign`);
    const answers: number[] = [];
    for (let n = 0; n < 14; n += 1) answers.push(await server.put(`new/${n}`, BODY));
    checks.that(
      "a disk that others have filled: PUT evicts or answers 507",
      answers.every((status) => [...OK, 507].includes(status)),
      () => answers.join(" "),
    );
    fill(`${disk}/more`);
    const deleted = await server.delete("new/13");
    checks.that("DELETE on a disk without a free byte", [204, 404].includes(deleted), () => String(deleted));
    const everything = await server.ask("DELETE", CLEAR);
    checks.that("a clear on a full disk", everything.status < 300, () => JSON.stringify(everything));
    fill(`${disk}/again`);
    checks.equal("stop on a disk without a free byte", { actual: await server.stop(), expected: 0 });
    fill(`${disk}/last`);
    server = await TierServer.start(runtime, { l2 });
    const full = await server.put("full", BODY);
    checks.that("start on a disk without a free byte; PUT answers 507", full === 507, () => String(full));
    for (const name of ["foreign", "more", "again", "last"]) rmSync(`${disk}/${name}`, { force: true });
    const after = await until(() => server.put("room again", BODY), (status) => OK.includes(status), {
      timeoutMs: 5000,
    });
    checks.that("with room again it goes on without help", OK.includes(after), () => String(after));
    checks.equal("and reads it", { actual: (await server.get("room again")).body.length, expected: BODY.length });
    checks.equal("stop", { actual: await server.stop(), expected: 0 });
  });
}

async function withoutInodes({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const disk = `${folder}/inodes`;
  await withTmpfs(disk, "size=64m,nr_inodes=340", async () => {
    const server = await TierServer.start(runtime, { l2: `file://${disk}/t` });
    const answers: number[] = [];
    for (let n = 0; n < 150; n += 1) answers.push(await server.put(`${n}`, BODY.subarray(0, 100)));
    checks.that(
      "150 PUTs on a disk with inodes for 70 succeed",
      answers.every((status) => OK.includes(status)),
      () => answers.join(" "),
    );
    checks.equal("stop", { actual: await server.stop(), expected: 0 });
  });
}

/** Writes a file until the disk takes no more byte. */
function fill(path: string): void {
  for (const bytes of [1024 * 1024, 4096]) {
    for (let n = 0; n < 100; n += 1) {
      try {
        writeFileSync(path, new Uint8Array(bytes), { flag: "a" });
      } catch {
        break;
      }
    }
  }
}
