import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { TierServer } from "./tier_server.ts";

const BODY = new Uint8Array(5000).fill(5);

/** The folder of a file tier is removed, replaced, unmounted, restored, protected and filled with odd things. */
export const folderGone: HostileCase = {
  name: "folder-gone",
  async run(run) {
    await takenAway(run);
    await unmounted(run);
    await writeProtected(run);
    await oddThings(run);
  },
};

async function takenAway({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const path = `${folder}/t`;
  const server = await TierServer.start(runtime, { l2: `file://${path}` });
  const seed = async (): Promise<void> => {
    for (let n = 0; n < 20; n += 1) await server.put(`${n}`, BODY);
  };
  const trouble = async (what: string): Promise<void> => {
    const ready = await until(() => server.ready(), (status) => status === 503, { timeoutMs: 5000 });
    checks.equal(`${what}: /readyz`, { actual: ready, expected: 503 });
    checks.equal(`${what}: a durable PUT`, { actual: await server.put("lost", BODY), expected: 503 });
    const [l2] = (await server.status()).l2;
    checks.that(
      `${what}: /status has the reason`,
      l2?.error !== undefined && l2.objects === undefined,
      () => JSON.stringify(l2),
    );
    checks.equal(`${what}: hits go on`, { actual: (await server.get("1")).status, expected: 200 });
  };
  const recovers = async (what: string): Promise<void> => {
    // The change may not have been noticed yet: a PUT that fails notices it.
    await until(() => server.put("first", BODY), (status) => status < 300, { timeoutMs: 10_000 });
    const ready = await until(() => server.ready(), (status) => status === 200, { timeoutMs: 10_000 });
    checks.equal(`${what}: /readyz`, { actual: ready, expected: 200 });
    for (let n = 0; n < 8; n += 1) {
      const stored = await server.put(`new ${what} ${n}`, BODY);
      checks.that(`${what}: a durable PUT`, stored === 201, () => String(stored));
    }
  };
  await seed();
  rmSync(path, { recursive: true });
  await trouble("removed");
  mkdirSync(path);
  await recovers("made again");
  await seed();
  renameSync(path, `${path}-moved`);
  await trouble("moved away");
  renameSync(`${path}-moved`, path);
  await recovers("moved back");
  await seed();
  rmSync(`${path}/lock.sqlite`);
  await recovers("the lock is deleted");
  for (const name of ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"]) {
    rmSync(`${path}/${name}`, { force: true });
  }
  await recovers("the index is deleted");
  checks.equal("objects are there without their index", { actual: (await server.get("7")).status, expected: 200 });
  writeFileSync(`${path}/index.sqlite`, new Uint8Array(100_000).fill(65));
  await until(() => server.put("any", BODY), (status) => status < 300, { timeoutMs: 10_000 });
  await recovers("the index is overwritten");
  checks.that(
    "it says so",
    server.process.output.includes("a tier cannot be used"),
    () => server.process.output.slice(-2000),
  );
  checks.equal("no worker is replaced", { actual: (await server.status()).worker_restarts, expected: 0 });
  rmSync(path, { recursive: true });
  checks.equal("stop without a folder", { actual: await server.stop(), expected: 0 });
  checks.that("without a stack", !/^\s+at /m.test(server.process.output), () => server.process.output.slice(-2000));
}

async function unmounted({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const disk = `${folder}/disk`;
  const mount = (): void => void execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "vitrine-test", disk]);
  mkdirSync(disk);
  mount();
  const server = await TierServer.start(runtime, { l2: `file://${disk}/t` });
  await server.put("a", BODY);
  execFileSync("umount", ["-l", disk]);
  const ready = await until(() => server.ready(), (status) => status === 503, { timeoutMs: 5000 });
  checks.equal("unmounted: /readyz", { actual: ready, expected: 503 });
  checks.equal("unmounted: a durable PUT", { actual: await server.put("b", BODY), expected: 503 });
  checks.equal("unmounted: nothing is made in its place", { actual: readdirSync(disk), expected: [] });
  mount();
  try {
    mkdirSync(`${disk}/t`);
    const stored = await until(() => server.put("b", BODY), (status) => status < 300, { timeoutMs: 10_000 });
    checks.that("mounted again: a durable PUT", stored < 300, () => String(stored));
    checks.equal("stop", { actual: await server.stop(), expected: 0 });
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
}

async function writeProtected({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const path = `${folder}/immutable`;
  const server = await TierServer.start(runtime, { l2: `file://${path}` });
  await server.put("a", BODY);
  // Not SQLite's files: the system ends a process that writes to a mapped file after it became immutable.
  const protect = (sign: "+" | "-"): void => {
    execFileSync("chattr", [`${sign}i`, path, `${path}/reserve`]);
    execFileSync("chattr", ["-R", `${sign}i`, `${path}/objects`, `${path}/segments`]);
  };
  protect("+");
  try {
    const ready = await until(() => server.ready(), (status) => status === 503, { timeoutMs: 5000 });
    checks.equal("protected: /readyz", { actual: ready, expected: 503 });
    checks.equal("protected: a durable PUT", { actual: await server.put("b", BODY), expected: 503 });
    checks.equal("protected: a GET", { actual: (await server.get("a")).status, expected: 200 });
  } finally {
    protect("-");
  }
  const after = await until(() => server.ready(), (status) => status === 200, { timeoutMs: 5000 });
  checks.equal("writable again: /readyz", { actual: after, expected: 200 });
  checks.equal("writable again: a durable PUT", { actual: await server.put("b", BODY), expected: 201 });
  checks.equal("stop", { actual: await server.stop(), expected: 0 });
}

async function oddThings({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const path = `${folder}/odd`;
  const l2 = `file://${path}`;
  let server = await TierServer.start(runtime, { l2 });
  // Large enough for files of their own.
  for (let n = 0; n < 20; n += 1) await server.put(`${n}`, new Uint8Array(200_000).fill(n));
  await server.stop();
  cpSync(path, `${path}-backup`, { recursive: true });
  const name = readdirSync(`${path}/objects`, { recursive: true }).map(String).find((each) => each.length > 60) ?? "";
  rmSync(`${path}/objects/${name}`);
  for (const each of ["00", "01", "02"]) mkdirSync(`${path}/objects/${each}`, { recursive: true });
  execFileSync("mkfifo", [
    `${path}/objects/${name}`,
    `${path}/objects/00/${"0".repeat(64)}-1`,
    `${path}/objects/00/pipe.tmp`,
  ]);
  symlinkSync("/dev/zero", `${path}/objects/00/${"0".repeat(64)}-2`);
  mkdirSync(`${path}/objects/01/${"01".repeat(32)}-1`);
  mkdirSync(`${path}/objects/01/folder.tmp`);
  writeFileSync(`${path}/objects/junk`, new Uint8Array(1_000_000));
  rmSync(`${path}/objects/02`, { recursive: true });
  writeFileSync(`${path}/objects/02`, "a file");
  for (const file of ["lock.sqlite", "state", "index.sqlite", "reserve"]) {
    writeFileSync(`${path}/${file}`, new Uint8Array(9000).fill(66));
  }
  server = await TierServer.start(runtime, { l2 });
  const statuses: number[] = [];
  for (let n = 0; n < 20; n += 1) statuses.push((await server.get(`${n}`)).status);
  const found = statuses.filter((status) => status === 200).length;
  checks.that("it starts over odd things and has what is whole", found >= 17 && found <= 19, () => statuses.join(" "));
  checks.equal("and stores", { actual: await server.put("new", BODY), expected: 201 });
  checks.equal("stop", { actual: await server.stop(), expected: 0 });
  // An older index beside newer files, then newer than the files.
  for (const file of ["index.sqlite"]) cpSync(`${path}-backup/${file}`, `${path}/${file}`);
  server = await TierServer.start(runtime, { l2 });
  checks.equal("an older index: the newer file", { actual: (await server.get("new")).status, expected: 200 });
  await server.stop();
  for (const file of ["lock.sqlite", "index.sqlite"]) {
    rmSync(`${path}/${file}`);
    mkdirSync(`${path}/${file}`);
  }
  server = await TierServer.start(runtime, { l2 });
  checks.equal("folders in the place of files", { actual: (await server.get("new")).status, expected: 200 });
  const second = await TierServer.start(runtime, { l2 }).catch((error: unknown) => String(error));
  checks.that(
    "a second server is refused with one line",
    typeof second === "string" && second.includes("in use"),
    () => typeof second === "string" ? second : "it started",
  );
  await server.stop();
}
