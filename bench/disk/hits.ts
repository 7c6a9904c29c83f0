import { type LoadResult, runWrk } from "../support/wrk.ts";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { PutStream } from "./put_stream.ts";
import { atMost, coresText, milliseconds, perSecond, ratioRow } from "./rows.ts";

const PATH = "/v1/objects/hits/hot";
const SIZE_BYTES = 4096;
const PUTS_PER_SECOND = 300;
const sides = ["none", "file"] as const;

/** One round of one server: a turn without writes and one with. */
interface Turns {
  readonly quiet: LoadResult;
  readonly writing: LoadResult;
  readonly putsPerSecond: number;
  readonly streamCores: number;
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
          const measured = await measure(servers[side], round);
          if (round > 0) turns[side].push(measured);
        }
      }
      return rowsOf(run, turns);
    }),
};

async function measure(server: DiskServer, round: number): Promise<Turns> {
  const load = {
    port: server.port,
    method: "GET",
    path: PATH,
    keys: 0,
    sendBytes: 0,
    connections: 32,
    seconds: 1,
  } as const;
  const quiet = await runWrk(load);
  const path = `/v1/objects/hits/${round}`;
  const stream = new PutStream(server.process.address, { path, perSecond: PUTS_PER_SECOND, sizeBytes: SIZE_BYTES });
  const writing = await runWrk(load);
  const { perSecond: putsPerSecond, generatorCores: streamCores, failed } = await stream.stop();
  if (failed > 0) throw new Error(`PUTs beside hits: ${failed} failed`);
  await server.untilStored();
  return { quiet, writing, putsPerSecond, streamCores };
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
      `PUTs ${coresText(turns[side].map(({ streamCores }) => streamCores))}`;
    return [
      ratioRow(`${name}: a second, alone / while ${PUTS_PER_SECOND} PUTs a second flow`, runtime, {
        pairs: turns[side].map(({ quiet, writing }) => [quiet.requestsPerSecond, writing.requestsPerSecond]),
        text: perSecond,
        aim: isAimed ? atMost(1.1) : undefined,
        generator,
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
      pairs: both(({ putsPerSecond }) => putsPerSecond),
      text: perSecond,
    }),
  ];
}
