import { sha256 } from "../support/bytes.ts";
import { setTimeout as wait } from "node:timers/promises";
import { type Address, Connection } from "../support/http/connection.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { BigBody, digestOf } from "./big_body.ts";
import { MemoryWatch } from "./memory_watch.ts";
import { sendOnce } from "./send_once.ts";

const mib = 1024 ** 2;
const l1Mib = 256;
/**
 * What process and streaming may take beyond a full L1: the bounds that docs/RUNTIMES.md ("Memory") states, short of
 * the 128 MiB that are aimed at.
 */
const aboveL1Mib = { bun: { sized: 192, chunked: 288 }, deno: { sized: 192, chunked: 384 } } as const;
/**
 * Readers of the big object at a time, and what each may take beyond the 128 MiB: a few chunks of 1 MiB on their way.
 */
const readers = 32;
const eachReaderMib = { bun: 4, deno: 8 } as const;

/** One L1 full of objects, so that all of its memory is really there. */
async function fillL1(address: Address, { checks }: SuiteRun): Promise<void> {
  const bytes = new Random(3).bytes(mib);
  await inParallel(Array.from({ length: l1Mib }).keys(), 8, async (i) => {
    const request = { method: "PUT", path: objectPath(`filler ${i}`), body: bytes };
    const status = await sendOnce(address, request, async (response) => {
      await response.bytes();
      return response.status;
    });
    checks.equal(`PUT filler ${i}`, { actual: status, expected: 201 });
  });
}

async function storeAndRead(address: Address, body: BigBody, { key, chunked, checks }: {
  readonly key: string;
  readonly chunked: boolean;
  readonly checks: SuiteRun["checks"];
}): Promise<void> {
  const path = objectPath(key);
  const put = { method: "PUT", path, body: body.pieces(), ...(chunked ? {} : { sizeBytes: body.sizeBytes }) };
  const status = await sendOnce(address, put, async (response) => {
    await response.bytes();
    return response.status;
  });
  checks.equal(`PUT ${key}`, { actual: status, expected: 201 });
  const found = await sendOnce(address, { method: "GET", path }, (response) => digestOf(response.chunks()));
  checks.equal(`GET ${key}`, { actual: found, expected: body.digest() });
  const { sizeBytes } = body;
  const ranges = [[0, 1], [mib - 1, mib + 1], [sizeBytes / 2 - 7, sizeBytes / 2 + 100 * mib], [
    sizeBytes - 100,
    sizeBytes,
  ]];
  for (const [start = 0, end = 0] of ranges) {
    const range = `bytes=${start}-${end - 1}`;
    const part = await sendOnce(address, { method: "GET", path, headers: { range } }, (response) => response.bytes());
    checks.equal(`GET ${key} ${range}`, { actual: sha256(part), expected: sha256(body.slice(start, end)) });
  }
}

/** Many readers of an object in L1, larger than what the sockets take, that stall, and then go away. */
async function stallReaders(address: Address, { checks }: SuiteRun): Promise<void> {
  const path = objectPath("stalled");
  const put = { method: "PUT", path, body: new Random(4).bytes(32 * mib) };
  checks.equal("PUT stalled", { actual: await sendOnce(address, put, async ({ status }) => status), expected: 201 });
  const stalled = await Promise.all(Array.from({ length: 64 }, async () => {
    const connection = await Connection.open(address);
    const { status } = await connection.send({ method: "GET", path });
    checks.equal("GET stalled", { actual: status, expected: 200 });
    return connection;
  }));
  // What they make the server hold is held by then.
  await wait(2000);
  for (const connection of stalled) connection.close();
}

/** Readers of the whole big object that take a little and go away. */
async function readLittle(address: Address, key: string): Promise<void> {
  await inParallel(
    Array.from({ length: 32 }),
    32,
    () =>
      sendOnce(address, { method: "GET", path: objectPath(key) }, async (response) => {
        let taken = 0;
        for await (const chunk of response.chunks()) {
          taken += chunk.byteLength;
          if (taken > 8 * mib) return;
        }
      }),
  );
}

/**
 * An object larger than L1 goes to the tier and back, in both framings, whole and in parts, and the process stays
 * within L1 and a stated bound; many readers at a time take little more. Counted is the memory that holds data: the
 * pages of the runtime's own file can be dropped at any time.
 */
export async function boundedMemory(run: SuiteRun, sizeMib: number): Promise<void> {
  const { checks, runtime } = run;
  const { server, watch, check } = await startWatched(run, "bounded");
  await fillL1(server.address, run);
  check("L1 filled", l1Mib + aboveL1Mib[runtime].sized);
  for (const chunked of [false, true]) {
    const key = chunked ? "big, chunked" : "big, with its length";
    const limitMib = l1Mib + aboveL1Mib[runtime][chunked ? "chunked" : "sized"];
    await storeAndRead(server.address, new BigBody(key, sizeMib), { key, chunked, checks });
    check(key, limitMib);
    await readLittle(server.address, key);
    check(`${key}, ${readers} readers`, limitMib + readers * eachReaderMib[runtime]);
  }
  watch.stop();
  console.log(`most that was ever resident: ${(server.memory().peakBytes / mib).toFixed(0)} MiB`);
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
}

/** Readers of an object in L1 that stall take little beyond what they hold there. */
export async function stalledMemory(run: SuiteRun): Promise<void> {
  const { server, watch, check } = await startWatched(run, "stalled-memory");
  await fillL1(server.address, run);
  check("L1 filled", l1Mib + aboveL1Mib[run.runtime].sized);
  await stallReaders(server.address, run);
  check("64 readers of 32 MiB that stall", l1Mib + aboveL1Mib[run.runtime].sized);
  watch.stop();
  run.checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
}

/** Starts a server, and something that checks the most memory that it has had since the last check. */
async function startWatched({ checks, runtime, folder }: SuiteRun, tier: string) {
  const flags = { workers: "1", "l1-size": `${l1Mib}MiB`, l2: `file://${folder}/${tier}` };
  const server = await ServerProcess.start({ runtime, flags });
  const watch = new MemoryWatch(server);
  const check = (what: string, limitMib: number) => {
    const mostMib = watch.take() / mib;
    console.log(`${what}: at most ${mostMib.toFixed(0)} MiB in memory`);
    checks.that(`memory: ${what}`, mostMib <= limitMib, () => `${mostMib.toFixed(0)} MiB, more than ${limitMib} MiB`);
  };
  return { server, watch, check };
}
