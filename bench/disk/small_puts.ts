import { runWrk } from "../support/wrk.ts";
import type { DiskPart, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { startPeer } from "./peer.ts";
import { atLeast, coresText, missingRow, perSecond, ratioRow } from "./rows.ts";

const SIZE_BYTES = 4096;
const KEYS = 16_384;
const CONNECTIONS = 64;
const PATH = "/v1/objects/small/put";
const modes = ["back", "through"] as const;

/** PUTs of 4 KiB from 64 clients, sustained: the time until everything is in the tier counts. */
export const smallPuts: DiskPart = {
  name: "puts",
  run: (run) => {
    const file = (write: string) => ({ l2: `${run.folder}/${write}`, flags: { write } });
    const settings = { none: { l2: "none" }, back: file("back"), through: file("through") };
    return withServers(run, settings, async (servers) => {
      const peer = await startPeer(`${run.folder}/peer`);
      try {
        const cores: number[] = [];
        const load = { method: "PUT", keys: KEYS, sendBytes: SIZE_BYTES, connections: CONNECTIONS } as const;
        const rateOf = async (port: number, path: string, server?: DiskServer) => {
          const { requests, requestsPerSecond, generatorCores } = await runWrk({ ...load, port, path, seconds: run.seconds });
          cores.push(generatorCores);
          const startMs = performance.now();
          await server?.untilStored();
          return requests / (requests / requestsPerSecond + (performance.now() - startMs) / 1000);
        };
        const rates: { readonly none: number; readonly back: number; readonly through: number; readonly peer: number }[] = [];
        for (let round = 0; round <= run.rounds; round += 1) {
          const none = await rateOf(servers.none.port, PATH);
          const back = await rateOf(servers.back.port, PATH, servers.back);
          const through = await rateOf(servers.through.port, PATH, servers.through);
          const rate = peer.port === undefined ? Number.NaN : await rateOf(peer.port, peer.path);
          if (round > 0) rates.push({ none, back, through, peer: rate });
        }
        const generator = `wrk ${coresText(cores)}`;
        return modes.flatMap((mode): readonly Row[] => [
          ratioRow(`PUT 4 KiB, ${CONNECTIONS} clients, sustained: ${mode} / --l2 none`, run.runtime, {
            pairs: rates.map((rate) => [rate[mode], rate.none]),
            text: perSecond,
            aim: atLeast(0.8),
            generator,
          }),
          peer.port === undefined
            ? missingRow(`the same: ${mode} / bazel-remote`, run.runtime, peer.name)
            : ratioRow(`the same: ${mode} / ${peer.name}`, run.runtime, {
              pairs: rates.map((rate) => [rate[mode], rate.peer]),
              text: perSecond,
              aim: atLeast(1.5),
            }),
        ]);
      } finally {
        peer.stop();
      }
    });
  },
};
