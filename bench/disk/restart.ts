import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import process from "node:process";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { DiskServer } from "./disk_server.ts";
import { atMost, missingRow, seconds, valueRow } from "./rows.ts";

const SIZE_BYTES = 100;
const AIM = atMost(5);

/**
 * How long a server over many small objects takes to be ready: after a clean stop, after kill -9, and without its
 * index.
 */
export const restart: DiskPart = {
  name: "restart",
  async run(run) {
    if (run.tree !== process.cwd()) {
      return [missingRow("restart", run.runtime, "the folder is filled by this tree alone")];
    }
    const objects = run.isShort ? 100_000 : 1_000_000;
    const folder = `${run.sharedFolder}/many`;
    if (!existsSync(folder)) await fill(folder, objects);
    const rows: Row[] = [];
    const measure = async (name: string, l2: string) => {
      const { server, tookSeconds } = await startReady(run, l2);
      const title = `ready ${name}, ${objects} objects of ${SIZE_BYTES} bytes`;
      rows.push(valueRow(title, run.runtime, { value: tookSeconds, text: seconds, aim: AIM }));
      return server;
    };
    const empty = await startReady(run, `${run.folder}/empty`);
    await empty.server.stop();
    rows.push(valueRow("ready, an empty folder", run.runtime, { value: empty.tookSeconds, text: seconds }));
    const first = await measure("after a clean stop", folder);
    await changeSome(first);
    await first.kill();
    const second = await measure("after kill -9", folder);
    await second.stop();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${folder}/index.sqlite${suffix}`, { force: true });
    const third = await measure("without its index", folder);
    await third.stop();
    return rows;
  },
};

/** From the start of the process until /readyz says 200. */
async function startReady(
  run: PartRun,
  l2: string,
): Promise<{ readonly server: DiskServer; readonly tookSeconds: number }> {
  const startMs = performance.now();
  const server = await DiskServer.start(run, { l2, flags: { "l1-size": "64MiB" } });
  await server.untilReady(60_000);
  return { server, tookSeconds: (performance.now() - startMs) / 1000 };
}

/** A kill of a server that has changed nothing would be a clean stop. */
async function changeSome(server: DiskServer): Promise<void> {
  await server.fill("/v1/objects/many/new", { keys: 100, sizeBytes: SIZE_BYTES });
  await server.untilStored();
}

async function fill(folder: string, objects: number): Promise<void> {
  const script = new URL("fill_folder.ts", import.meta.url).pathname;
  const child = spawn("bun", [script, folder, String(objects), String(SIZE_BYTES)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`fill folder: ${code}`);
}
