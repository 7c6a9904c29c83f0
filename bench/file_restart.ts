/**
 * How long the folder of a file tier takes to be ready again with many small objects: after a clean stop, after kill
 * -9, and when a power loss took the index, which is then built again. Usage: `bun bench/file_restart.ts [objects]
 * [folder]`, `deno run -A bench/file_restart.ts …`.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { crc32 } from "node:zlib";
import { systemClock } from "../src/core/clock.ts";
import { FileStore } from "../src/l2/file/store/file_store.ts";

/** Changes that are asked for at once. */
const IN_FLIGHT = 512;
const [countText = "200000", folder, role] = process.argv.slice(2);
const count = Number(countText);
const path = folder ?? mkdtempSync(join(tmpdir(), "vitrine-restart-"));

function open(): FileStore {
  return new FileStore({ name: "fs", path, limitBytes: 0, sync: true, publish() {}, clock: systemClock });
}

async function timed<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - startMs) / 1000).toFixed(2)} s`);
  return result;
}

function put(store: FileStore, number: number): Promise<boolean> {
  const payload = new Uint8Array(512 + number % 1024).fill(number);
  const nowMs = systemClock.nowMs();
  const meta = {
    sizeBytes: payload.length,
    crc32: crc32(payload),
    version: Math.floor(nowMs) * 1024 + number % 1024,
    createdMs: nowMs,
    expiresMs: 0,
    contentType: "application/octet-stream",
    sha256: "",
  };
  const key = { tenant: "", key: `build/cache/${number}` };
  return store.change({ kind: "record", key, meta, payload, durable: false });
}

async function fill(store: FileStore): Promise<void> {
  for (let first = 0; first < count; first += IN_FLIGHT) {
    const length = Math.min(IN_FLIGHT, count - first);
    await Promise.all(Array.from({ length }, (_, at) => put(store, first + at)));
  }
}

/** Opens the folder in another process, which is killed while it has it open. */
async function openAndKill(): Promise<void> {
  const runtime = process.versions["bun"] === undefined ? ["run", "-A"] : [];
  const child = spawn(process.execPath, [...runtime, process.argv[1] ?? "", countText, path, "hold"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
}

async function reopen(what: string): Promise<void> {
  const store = await timed(what, open);
  const { objects } = await store.usage();
  if (objects !== count) throw new Error(`reopen folder: ${objects} objects instead of ${count}`);
  const key = { tenant: "", key: `build/cache/${count >> 1}` };
  const rounds = 20_000;
  const startMs = performance.now();
  for (let round = 0; round < rounds; round += 1) await store.find(key, false);
  console.log(`  find: ${((performance.now() - startMs) * 1000 / rounds).toFixed(1)} us`);
  await store.close();
}

if (role === "hold") {
  open();
  process.stdout.write("open\n");
  setInterval(() => undefined, 1000);
} else {
  const store = open();
  await timed(`storing ${count} objects`, () => fill(store));
  await timed("closing", () => store.close());
  await reopen("ready after a clean stop");
  await openAndKill();
  await reopen("ready after kill -9");
  for (const suffix of ["", "-wal"]) rmSync(join(path, `index.sqlite${suffix}`), { force: true });
  await reopen("ready after a power loss (index built again)");
  if (folder === undefined) rmSync(path, { recursive: true });
}
