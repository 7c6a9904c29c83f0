import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { runWrk } from "../support/wrk.ts";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { bytesPerSecond, coresText, ratioRow } from "./rows.ts";

const KIB = 1024;
const MIB = 1024 ** 2;

/** The number of objects of a size: more than are asked for in a turn, so that none is asked for twice. */
interface Size {
  readonly name: string;
  readonly sizeBytes: number;
  readonly keys: number;
  readonly shortKeys: number;
  readonly connections: number;
}

const sizes: readonly Size[] = [
  { name: "4 KiB", sizeBytes: 4 * KIB, keys: 32_768, shortKeys: 32_768, connections: 32 },
  { name: "1 MiB", sizeBytes: MIB, keys: 1024, shortKeys: 512, connections: 8 },
  { name: "64 MiB", sizeBytes: 64 * MIB, keys: 24, shortKeys: 12, connections: 4 },
];

/**
 * Objects that are in the tier and not in L1, against plain reads of as many bytes, and against L1. The page cache has
 * all of them.
 */
export const readThrough: DiskPart = {
  name: "reads",
  async run(run) {
    const rows: Row[] = [];
    for (const size of sizes) {
      const server = { l2: `${run.folder}/${size.name.replace(" ", "")}` };
      rows.push(...await withServers(run, { server }, (servers) => measureSize(run, servers.server, size)));
    }
    return rows;
  },
};

async function measureSize(run: PartRun, server: DiskServer, size: Size): Promise<readonly Row[]> {
  const { name, sizeBytes, connections } = size;
  const keys = run.isShort ? size.shortKeys : size.keys;
  const path = `/v1/objects/reads/${sizeBytes}`;
  await server.fill(path, { keys, sizeBytes });
  await server.untilStored();
  const plain = openPlainFile(`${run.folder}/plain-${sizeBytes}`, keys * sizeBytes);
  const load = { port: server.port, method: "GET", sendBytes: 0, connections, seconds: 1 } as const;
  const rates: { readonly tier: number; readonly l1: number; readonly plain: number }[] = [];
  const cores: number[] = [];
  let isRepeated = false;
  for (let round = 0; round <= run.rounds; round += 1) {
    await server.clearL1();
    const { requests, bytesPerSecond: tier, generatorCores } = await runWrk({ ...load, path, keys });
    const { bytesPerSecond: l1 } = await runWrk({ ...load, path: `${path}-0`, keys: 0 });
    isRepeated ||= requests > keys;
    if (round === 0) continue;
    rates.push({ tier, l1, plain: plainRate(plain, { fileBytes: keys * sizeBytes, sizeBytes, forMs: 500 }) });
    cores.push(generatorCores);
  }
  closeSync(plain);
  const title = `read-through of ${name}${isRepeated ? " (some asked for twice)" : ""}`;
  const generator = `wrk ${coresText(cores)}`;
  return [
    ratioRow(`${title} / plain reads, one after the other`, run.runtime, {
      pairs: rates.map(({ tier, plain: read }) => [tier, read]),
      text: bytesPerSecond,
      generator,
    }),
    ratioRow(`${title} / one such object from L1`, run.runtime, {
      pairs: rates.map(({ tier, l1 }) => [tier, l1]),
      text: bytesPerSecond,
    }),
  ];
}

function openPlainFile(path: string, fileBytes: number): number {
  const file = openSync(path, "w+");
  const bytes = new Uint8Array(MIB).fill(120);
  for (let written = 0; written < fileBytes; written += MIB) writeSync(file, bytes);
  return file;
}

/** Bytes a second of reads at random places. */
function plainRate(
  file: number,
  { fileBytes, sizeBytes, forMs }: { readonly fileBytes: number; readonly sizeBytes: number; readonly forMs: number },
): number {
  const bytes = new Uint8Array(sizeBytes);
  const startMs = performance.now();
  let read = 0;
  while (performance.now() - startMs < forMs) {
    const place = Math.floor(Math.random() * fileBytes / sizeBytes) * sizeBytes;
    read += readSync(file, bytes, 0, sizeBytes, place);
  }
  return read / (performance.now() - startMs) * 1000;
}
