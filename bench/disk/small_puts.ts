import { cpuSeconds } from "../support/cpu_time.ts";
import { runWrk } from "../support/wrk.ts";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { type Peer, startPeer } from "./peer.ts";
import { atLeast, coresText, microseconds, missingRow, perSecond, ratioRow } from "./rows.ts";

const SIZE_BYTES = 4096;
const CONNECTIONS = 64;
const PATH = "/v1/objects/small/put";
const LOAD = { method: "PUT", keys: 16_384, sendBytes: SIZE_BYTES, connections: CONNECTIONS } as const;
const modes = ["back", "through"] as const;
const sides = ["none", ...modes] as const;

/** One turn of one server. */
interface Turn {
  /** PUTs a second until the last of them is in the tier. */
  readonly rate: number;
  /** Processor time of the server for each. */
  readonly cpuSeconds: number;
  readonly generatorCores: number;
}
type Round = Readonly<Record<(typeof sides)[number], Turn>> & { readonly peer: number };

/** PUTs of 4 KiB from 64 clients, sustained: the time until everything is in the tier counts. */
export const smallPuts: DiskPart = {
  name: "puts",
  run: (run) => {
    const file = (write: string) => ({ l2: `${run.folder}/${write}`, flags: { write } });
    const settings = { none: { l2: "none" }, back: file("back"), through: file("through") };
    return withServers(run, settings, async (servers) => {
      const peer = await startPeer(`${run.folder}/peer`);
      try {
        const rounds: Round[] = [];
        for (let number = 0; number <= run.rounds; number += 1) {
          const none = await measure(servers.none, run.seconds);
          const back = await measure(servers.back, run.seconds);
          const through = await measure(servers.through, run.seconds);
          const peerRate = peer.port === undefined
            ? Number.NaN
            : (await runWrk({ ...LOAD, port: peer.port, path: peer.path, seconds: run.seconds })).requestsPerSecond;
          if (number > 0) rounds.push({ none, back, through, peer: peerRate });
        }
        return modes.flatMap((mode) => rowsOf(run, rounds, { mode, peer }));
      } finally {
        peer.stop();
      }
    });
  },
};

async function measure(server: DiskServer, seconds: number): Promise<Turn> {
  const before = cpuSeconds(server.process.pid);
  const { requests, requestsPerSecond, generatorCores } = await runWrk({
    ...LOAD,
    port: server.port,
    path: PATH,
    seconds,
  });
  const startMs = performance.now();
  await server.untilStored();
  const tookSeconds = requests / requestsPerSecond + (performance.now() - startMs) / 1000;
  const taken = cpuSeconds(server.process.pid) - before;
  return { rate: requests / tookSeconds, cpuSeconds: taken / requests, generatorCores };
}

function rowsOf(
  { runtime }: PartRun,
  rounds: readonly Round[],
  { mode, peer }: { readonly mode: (typeof modes)[number]; readonly peer: Peer },
): readonly Row[] {
  const name = `PUT 4 KiB, ${CONNECTIONS} clients, sustained`;
  return [
    ratioRow(`${name}: ${mode} / --l2 none`, runtime, {
      pairs: rounds.map((round) => [round[mode].rate, round.none.rate]),
      text: perSecond,
      aim: atLeast(0.8),
      generator: `wrk ${coresText(rounds.map((round) => round[mode].generatorCores))}`,
    }),
    ratioRow(`the same, processor time a PUT: ${mode} / --l2 none`, runtime, {
      pairs: rounds.map((round) => [round[mode].cpuSeconds, round.none.cpuSeconds]),
      text: microseconds,
    }),
    peer.port === undefined
      ? missingRow(`the same: ${mode} / bazel-remote`, runtime, peer.name)
      : ratioRow(`the same, a second: ${mode} / ${peer.name}`, runtime, {
        pairs: rounds.map((round) => [round[mode].rate, round.peer]),
        text: perSecond,
        aim: atLeast(1.5),
      }),
  ];
}
