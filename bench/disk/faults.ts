import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { inParallel } from "../../test/e2e/support/in_parallel.ts";
import { runWrk } from "../support/wrk.ts";
import type { DiskPart, PartRun, Row } from "./disk_part.ts";
import { type DiskServer, withServers } from "./disk_server.ts";
import { PutStream } from "./put_stream.ts";
import { atLeast, atMost, coresText, perSecond, ratioRow, seconds, valueRow } from "./rows.ts";

const PATH = "/v1/objects/faults/hot";
const SIZE_BYTES = 4096;
/** More in the time of a fault than the store queue takes, so that some have to wait. */
const PUTS_PER_SECOND = 200;
/** They wait for the tier. */
const DELETES = 20;
const FROZEN_SECONDS = 8;
const LOCKED_SECONDS = 3;

/** Something that happens to the tier for some seconds. */
interface Fault {
  readonly name: string;
  readonly forSeconds: number;
  /** Returns how to wait for its end, and what is to be said of it. */
  readonly begin: () => { readonly ended: () => Promise<void>; readonly note: string };
}

/** A disk that stands still, and an index that another process has locked, while hits and PUTs go on. */
export const faults: DiskPart = {
  name: "faults",
  async run(run) {
    const disk = `${run.folder}/disk`;
    return await withOwnDisk(run.folder, disk, async () => {
      const server = { l2: `${disk}/tier`, flags: { "worker-timeout": "5s", "l1-size": "256MiB" } };
      return await withServers(run, { server }, async (servers) => [
        ...await suffer(run, servers.server, frozen(disk)),
        ...await suffer(run, servers.server, locked(`${disk}/tier/index.sqlite`)),
      ]);
    });
  },
};

function frozen(disk: string): Fault {
  return {
    name: `disk frozen for ${FROZEN_SECONDS} s`,
    forSeconds: FROZEN_SECONDS,
    begin: () => {
      execFileSync("fsfreeze", ["--freeze", disk]);
      // A process of its own, so that the disk thaws whatever becomes of this one.
      const thaw = `sleep ${FROZEN_SECONDS}; fsfreeze --unfreeze "$0"`;
      const child = spawn("sh", ["-c", thaw, disk], { stdio: "ignore", detached: true });
      const exit = once(child, "exit");
      return {
        async ended() {
          await exit;
        },
        note: "",
      };
    },
  };
}

function locked(indexPath: string): Fault {
  return {
    name: `index locked for ${LOCKED_SECONDS} s`,
    forSeconds: LOCKED_SECONDS,
    begin: () => {
      const other = new DatabaseSync(indexPath);
      const exit = wait(LOCKED_SECONDS * 1000);
      const ended = async () => {
        await exit;
        other.close();
      };
      try {
        other.exec("BEGIN IMMEDIATE");
        return { ended, note: "" };
      } catch {
        return { ended, note: " (refused: the server alone has it)" };
      }
    },
  };
}

/** Hits before and during the fault, and what is left of the PUTs that were acknowledged meanwhile. */
async function suffer(run: PartRun, server: DiskServer, { name, forSeconds, begin }: Fault): Promise<readonly Row[]> {
  await server.put(PATH, new Uint8Array(SIZE_BYTES).fill(120));
  const load = { port: server.port, method: "GET", path: PATH, keys: 0, sendBytes: 0, connections: 32 } as const;
  const putting = (when: string) => {
    const path = `/v1/objects/faults/${forSeconds}-${when}`;
    return new PutStream(server.process.address, { path, perSecond: PUTS_PER_SECOND, sizeBytes: SIZE_BYTES });
  };
  const removedPath = `/v1/objects/faults/${forSeconds}-removed`;
  await server.fill(removedPath, { keys: DELETES, sizeBytes: SIZE_BYTES });
  await server.untilStored();
  const stream = putting("during");
  await runWrk({ ...load, seconds: 1 });
  const before = await runWrk({ ...load, seconds: 3 });
  const { ended, note } = begin();
  const removed = Promise.all(
    Array.from({ length: DELETES }, (_, key) => server.delete(`${removedPath}-${key}`).catch(() => 0)),
  );
  // A server that answers nothing for so long is a finding, too.
  const during = await runWrk({ ...load, seconds: forSeconds - 1 }).catch((error: unknown) => {
    console.error(error);
    return { requestsPerSecond: 0, generatorCores: 0 };
  });
  await ended();
  const endMs = performance.now();
  const { acknowledged, failed } = await stream.stop();
  const undeleted = (await removed).filter((status) => status !== 204).length;
  await server.untilStored();
  await server.untilReady(60_000);
  const recoveredSeconds = (performance.now() - endMs) / 1000;
  const streamAfter = putting("after");
  const after = await runWrk({ ...load, seconds: 3 });
  await streamAfter.stop();
  await server.untilStored();
  await server.clearL1();
  let missing = 0;
  await inParallel(acknowledged, 8, async (each) => {
    if (await server.get(each) !== 200) missing += 1;
  });
  const { runtime } = run;
  const usual = (before.requestsPerSecond + after.requestsPerSecond) / 2;
  return [
    ratioRow(`${name}${note}: hits a second, during / before and after`, runtime, {
      pairs: [[during.requestsPerSecond, usual]],
      text: perSecond,
      aim: atLeast(0.8),
      generator: `wrk ${coresText([during.generatorCores])}`,
    }),
    count(`${name}: workers replaced`, runtime, await server.restarts()),
    count(`${name}: PUTs that failed`, runtime, failed),
    count(`${name}: DELETEs that failed, of ${DELETES} asked for meanwhile`, runtime, undeleted),
    count(`${name}: missing of ${acknowledged.length} acknowledged PUTs`, runtime, missing),
    valueRow(`${name}: afterwards, until all is answered and stored and /readyz is 200`, runtime, {
      value: recoveredSeconds,
      text: seconds,
      aim: atMost(5),
    }),
  ];
}

function count(name: string, runtime: string, value: number): Row {
  return valueRow(name, runtime, { value, text: String, aim: atMost(0) });
}

/** Runs `body` with an ext4 of its own in a file that is mounted as a loop device. Throws if it cannot be mounted. */
async function withOwnDisk<T>(folder: string, path: string, body: () => Promise<T>): Promise<T> {
  const image = `${folder}/image`;
  execFileSync("truncate", ["--size", "1G", image]);
  execFileSync("mkfs.ext4", ["-q", image]);
  mkdirSync(path);
  execFileSync("mount", ["--options", "loop", image, path]);
  try {
    return await body();
  } finally {
    execFileSync("umount", ["--lazy", path]);
  }
}
