/**
 * How long the file adapter takes to be ready again with many small objects: after a clean stop, after kill -9, and when the index has to be built
 * again. Usage: `bun bench/file_restart.ts [objects] [folder]`, `deno run -A bench/file_restart.ts …`.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { crc32 } from "node:zlib";
import { systemClock } from "../src/core/clock.ts";
import { FileAdapter } from "../src/l2/file.ts";

const IN_FLIGHT = 8;
const [countText = "200000", folder, role] = process.argv.slice(2);
const count = Number(countText);
const path = folder ?? mkdtempSync(join(tmpdir(), "vitrine-restart-"));

function open(): Promise<FileAdapter> {
  return FileAdapter.open({ name: "fs", path, limitBytes: 0, sync: false, publish() {}, clock: systemClock });
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - startMs) / 1000).toFixed(2)} s`);
  return result;
}

async function fill(adapter: FileAdapter): Promise<void> {
  let next = 0;
  const storeSome = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      const bytes = new Uint8Array(512 + number % 1024).fill(number);
      const meta = {
        sizeBytes: bytes.length,
        crc32: crc32(bytes),
        version: Math.floor(systemClock.nowMs()) * 1024 + number % 1024,
        createdMs: systemClock.nowMs(),
        expiresMs: 0,
        contentType: "application/octet-stream",
        sha256: "",
      };
      await adapter.store({ tenant: "", key: `build/cache/${number}` }, {
        chunks: new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(bytes);
            controller.close();
          },
        }),
        sizeBytes: bytes.length,
        meta: () => meta,
      });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, storeSome));
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
  const adapter = await timed(what, open);
  const { objects } = await adapter.usage();
  if (objects !== count) throw new Error(`Reopening: ${objects} objects instead of ${count}`);
  const key = { tenant: "", key: `build/cache/${count >> 1}` };
  const rounds = 20_000;
  const startMs = performance.now();
  for (let round = 0; round < rounds; round += 1) await adapter.lookup(key);
  console.log(`  lookup: ${((performance.now() - startMs) * 1000 / rounds).toFixed(1)} us`);
  await adapter.close();
}

if (role === "hold") {
  await open();
  process.stdout.write("open\n");
  setInterval(() => undefined, 1000);
} else {
  const adapter = await open();
  await timed(`storing ${count} objects with fsync=off`, () => fill(adapter));
  await adapter.close();
  await reopen("ready after a clean stop");
  await openAndKill();
  await reopen("ready after kill -9");
  writeFileSync(join(path, "state"), "another boot");
  await reopen("ready after a power loss (index built again)");
  if (folder === undefined) rmSync(path, { recursive: true });
}
