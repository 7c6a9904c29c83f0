import { cpuSeconds } from "../support/cpu_time.ts";
import { type LoadResult, runWrk } from "../support/wrk.ts";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { atMost, coresText, microseconds, milliseconds, perSecond, ratioRow } from "./rows.ts";

const PATH = "/v1/objects/hits/hot";
const SIZE_BYTES = 4096;
/** About 300 a second: each connection sends one, waits for its answer and then a tenth of a second. */
const PUTS = {
  method: "PUT",
  path: "/v1/objects/hits/put",
  keys: 1000,
  sendBytes: SIZE_BYTES,
  connections: 30,
  delayMs: 100,
} as const;
const sides = ["none", "file"] as const;

/** One round of one server: a turn without writes and one with. */
interface Turns {
  readonly quiet: LoadResult;
  readonly writing: LoadResult;
  readonly puts: LoadResult;
  /** Processor time of the server, that for the PUTs included. */
  readonly secondsAHit: { readonly quiet: number; readonly writing: number };
}

/** Hits in L1 alone, and while PUTs flow, without a tier and with the file tier. */
export const hits: DiskPart = {
  name: "hits",
  run: (run) =>
    withServers(run, { none: { l2: "none" }, file: { l2: `${run.folder}/tier` } }, async (servers) => {
      for (const side of sides) await servers[side].put(PATH, new Uint8Array(SIZE_BYTES).fill(120));
      const turns = { none: new Array<Turns>(), file: new Array<Turns>() };
      // Short turns, many of them: the speed of a shared machine drifts within seconds.
      for (let round = 0; round <= 2 * run.rounds; round += 1) {
        for (const side of sides) {
          const measured = await measure(servers[side]);
          if (round > 0) turns[side].push(measured);
        }
      }
      return rowsOf(run, turns);
    }),
};

async function measure(server: DiskServer): Promise<Turns> {
  const load = {
    port: server.port,
    method: "GET",
    path: PATH,
    keys: 0,
    sendBytes: 0,
    connections: 32,
    seconds: 1,
  } as const;
  const cpu = () => cpuSeconds(server.process.pid);
  const quietCpu = cpu();
  const quiet = await runWrk(load);
  const writingCpu = cpu();
  const [writing, puts] = await Promise.all([runWrk(load), runWrk({ ...PUTS, port: server.port, seconds: 1 })]);
  await server.untilStored();
  const secondsAHit = {
    quiet: (writingCpu - quietCpu) / quiet.requests,
    writing: (cpu() - writingCpu) / writing.requests,
  };
  return { quiet, writing, puts, secondsAHit };
}

function rowsOf(
  { runtime }: PartRun,
  turns: Readonly<Record<(typeof sides)[number], readonly Turns[]>>,
): readonly Row[] {
  const rows = sides.flatMap((side) => {
    const isAimed = side === "file";
    const name = `hits, ${side === "none" ? "--l2 none" : "file tier"}`;
    const pairs = (pick: (turn: LoadResult) => number) =>
      turns[side].map(({ quiet, writing }) => [pick(writing), pick(quiet)] as const);
    const generator = `wrk ${coresText(turns[side].map(({ writing }) => writing.generatorCores))}, ` +
      `for the PUTs ${coresText(turns[side].map(({ puts }) => puts.generatorCores))}`;
    return [
      ratioRow(`${name}: a second, alone / while 300 PUTs a second flow`, runtime, {
        pairs: turns[side].map(({ quiet, writing }) => [quiet.requestsPerSecond, writing.requestsPerSecond]),
        text: perSecond,
        aim: isAimed ? atMost(1.1) : undefined,
        generator,
      }),
      ratioRow(`${name}: the server's processor time for each, while PUTs flow / alone`, runtime, {
        pairs: turns[side].map(({ secondsAHit: { quiet, writing } }) => [writing, quiet]),
        text: microseconds,
      }),
      ratioRow(`${name}: p50, while PUTs flow / alone`, runtime, {
        pairs: pairs(({ p50Ms }) => p50Ms),
        text: milliseconds,
        aim: isAimed ? atMost(1.1) : undefined,
      }),
      ratioRow(`${name}: p99, while PUTs flow / alone`, runtime, {
        pairs: pairs(({ p99Ms }) => p99Ms),
        text: milliseconds,
        aim: isAimed ? atMost(1.3) : undefined,
      }),
    ];
  });
  const both = (pick: (turn: Turns) => number) =>
    turns.none.map((turn, round) => [pick(turn), pick(turns.file[round] ?? turn)] as const);
  return [
    ...rows,
    ratioRow("hits while PUTs flow: a second, --l2 none / file tier", runtime, {
      pairs: both(({ writing }) => writing.requestsPerSecond),
      text: perSecond,
      aim: atMost(1.1),
    }),
    ratioRow("the PUTs beside them: a second, --l2 none / file tier", runtime, {
      pairs: both(({ puts }) => puts.requestsPerSecond),
      text: perSecond,
    }),
  ];
}
