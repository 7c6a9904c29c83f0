import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { median } from "../support/report.ts";
import { runWrk } from "../support/wrk.ts";
import type { DiskPart } from "./disk_part.ts";
import { withServers } from "./disk_server.ts";
import { atMost, coresText, milliseconds, ratioRow } from "./rows.ts";

const SIZE_BYTES = 4096;
const KEYS = 4096;
const aims = { bun: atMost(1.6), deno: atMost(2.2) };

/** One client alone whose PUTs are acknowledged by the tier, against appending as many bytes to a file with fdatasync. */
export const singlePut: DiskPart = {
  name: "single",
  run: (run) =>
    withServers(run, { through: { l2: `${run.folder}/tier`, flags: { write: "through" } } }, async ({ through }) => {
      const path = "/v1/objects/single/put";
      const load = { port: through.port, method: "PUT", path, keys: KEYS, sendBytes: SIZE_BYTES, connections: 1 } as const;
      const pairs: (readonly [number, number])[] = [];
      const cores: number[] = [];
      for (let round = 0; round <= run.rounds; round += 1) {
        const { p50Ms, generatorCores } = await runWrk({ ...load, seconds: 1 });
        const plainMs = plainWriteMs(`${run.folder}/plain`, 1000);
        if (round === 0) continue;
        pairs.push([p50Ms, plainMs]);
        cores.push(generatorCores);
      }
      return [ratioRow("one client, through, 4 KiB: p50 / one write with fdatasync", run.runtime, {
        pairs,
        text: milliseconds,
        aim: aims[run.runtime],
        generator: `wrk ${coresText(cores)}`,
      })];
    }),
};

/** The median of appends with fdatasync for some time. */
function plainWriteMs(path: string, forMs: number): number {
  const bytes = new Uint8Array(SIZE_BYTES).fill(120);
  const file = openSync(path, "w");
  const taken: number[] = [];
  for (const startMs = performance.now(); performance.now() - startMs < forMs;) {
    const beforeMs = performance.now();
    writeSync(file, bytes);
    fdatasyncSync(file);
    taken.push(performance.now() - beforeMs);
  }
  closeSync(file);
  return median(taken);
}
