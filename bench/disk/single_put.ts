import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { median } from "../support/report.ts";
import { type LoadResult, runWrk } from "../support/wrk.ts";
import type { DiskPart } from "./disk_part.ts";
import { withServers } from "./disk_server.ts";
import { type Aim, atMost, coresText, milliseconds, ratioRow } from "./rows.ts";

const SIZE_BYTES = 4096;
const KEYS = 4096;
const aims = { bun: atMost(1.6), deno: atMost(2.2) };

/**
 * One client alone whose PUTs are acknowledged by the tier, against appending as many bytes to a file with fdatasync.
 */
export const singlePut: DiskPart = {
  name: "single",
  run: (run) =>
    withServers(run, {
      through: { l2: `${run.folder}/tier`, flags: { write: "through" } },
      none: { l2: "none" },
    }, async ({ through, none }) => {
      const path = "/v1/objects/single/put";
      const load = { method: "PUT", path, keys: KEYS, sendBytes: SIZE_BYTES, connections: 1, seconds: 1 } as const;
      const turns: { readonly through: LoadResult; readonly none: LoadResult; readonly plainMs: number }[] = [];
      for (let round = 0; round <= run.rounds; round += 1) {
        const turn = {
          through: await runWrk({ ...load, port: through.port }),
          plainMs: plainWriteMs(`${run.folder}/plain`, 1000),
          none: await runWrk({ ...load, port: none.port }),
        };
        if (round > 0) turns.push(turn);
      }
      const row = (side: "through" | "none", name: string, aim?: Aim) =>
        ratioRow(`PUT 4 KiB, one client, ${name}: p50 / one write with fdatasync`, run.runtime, {
          pairs: turns.map((turn) => [turn[side].p50Ms, turn.plainMs]),
          text: milliseconds,
          aim,
          generator: `wrk ${coresText(turns.map((turn) => turn[side].generatorCores))}`,
        });
      return [row("through", "through", aims[run.runtime]), row("none", "--l2 none")];
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
