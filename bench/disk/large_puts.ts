import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { childSeconds, WITH_TIMES } from "../support/shell_times.ts";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { atLeast, bytesPerSecond, coresText, ratioRow } from "./rows.ts";

const MIB = 1024 ** 2;
const CLIENTS = 8;
/** Without a tier, what limits is receiving the bytes over HTTP. */
const modes = ["none", "back", "through"] as const;
const runFile = promisify(execFile);

/**
 * PUTs of large objects from some clients until all are in the tier, and of the same without a tier, against dd, which
 * writes and syncs as many bytes.
 */
export const largePuts: DiskPart = {
  name: "large",
  run: (run) => {
    const file = (write: string) => ({ l2: `${run.folder}/${write}`, flags: { write } });
    const servers = { none: { l2: "none" }, back: file("back"), through: file("through") };
    return withServers(run, servers, async (started) => {
      const rows: Row[] = [];
      for (const sizeMib of [1, 16]) rows.push(...await measureSize(run, started, sizeMib));
      return rows;
    });
  },
};

async function measureSize(
  run: PartRun,
  servers: Readonly<Record<(typeof modes)[number], DiskServer>>,
  sizeMib: number,
): Promise<readonly Row[]> {
  const totalBytes = (run.isShort ? 128 : 512) * MIB;
  const rates: Readonly<Record<(typeof modes)[number] | "dd", number>>[] = [];
  const cores: number[] = [];
  for (let round = 0; round <= run.rounds; round += 1) {
    const taken = { none: 0, back: 0, through: 0, dd: 0 };
    for (const mode of modes) {
      const server = servers[mode];
      const startMs = performance.now();
      const generatorSeconds = await upload(run.folder, server.port, { sizeMib, count: totalBytes / (sizeMib * MIB) });
      await server.untilStored();
      taken[mode] = (performance.now() - startMs) / 1000;
      cores.push(generatorSeconds / taken[mode]);
    }
    taken.dd = await ddSeconds(`${run.folder}/dd`, totalBytes / MIB);
    if (round > 0) {
      const { none, back, through, dd } = taken;
      rates.push({
        none: totalBytes / none,
        back: totalBytes / back,
        through: totalBytes / through,
        dd: totalBytes / dd,
      });
    }
  }
  return modes.map((mode) =>
    ratioRow(`PUT ${sizeMib} MiB, ${CLIENTS} clients, sustained: ${nameOf(mode)} / dd conv=fdatasync`, run.runtime, {
      pairs: rates.map((rate) => [rate[mode], rate.dd]),
      text: bytesPerSecond,
      ...(mode === "none" ? {} : { aim: atLeast(0.8) }),
      generator: `curl ${coresText(cores)}`,
    })
  );
}

function nameOf(mode: (typeof modes)[number]): string {
  return mode === "none" ? "--l2 none" : mode;
}

/** PUTs so many objects with curl; returns the processor time that it took. */
async function upload(
  folder: string,
  port: number,
  { sizeMib, count }: { readonly sizeMib: number; readonly count: number },
): Promise<number> {
  const bodyPath = `${folder}/body`;
  writeFileSync(bodyPath, new Uint8Array(sizeMib * MIB).fill(120));
  const lines = Array.from({ length: count }, (_, key) =>
    [
      `url = "http://127.0.0.1:${port}/v1/objects/large/${sizeMib}-${key}"`,
      `upload-file = "${bodyPath}"`,
      'output = "/dev/null"',
    ].join("\n"));
  const configPath = `${folder}/curl`;
  writeFileSync(configPath, ['header = "Expect:"', ...lines].join("\n"));
  const options = ["--silent", "--show-error", "--fail", "--parallel", "--parallel-max", String(CLIENTS)];
  const { stdout } = await runFile("sh", ["-c", WITH_TIMES, "sh", "curl", ...options, "--config", configPath]);
  return childSeconds(stdout);
}

async function ddSeconds(path: string, mib: number): Promise<number> {
  rmSync(path, { force: true });
  const startMs = performance.now();
  await runFile("dd", ["if=/dev/zero", `of=${path}`, "bs=1M", `count=${mib}`, "conv=fdatasync"]);
  return (performance.now() - startMs) / 1000;
}
