import { setTimeout as wait } from "node:timers/promises";
import { sha256 } from "../support/bytes.ts";
import { Client } from "../support/http/client.ts";
import { type Address, Connection } from "../support/http/connection.ts";
import type { HttpResponse } from "../support/http/http_response.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { readStatus } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import { BigBody } from "./big_body.ts";

/**
 * Far more than the kernel's socket buffers take, so that a stalled reader really holds the object; at most an eighth
 * of L1.
 */
const objectMib = 24;
const l1Mib = 256;
const keys = ["overwritten", "deleted", "evicted"];

interface Reader {
  readonly key: string;
  readonly connection: Connection;
  readonly response: HttpResponse;
}

async function openReaders(address: Address, count: number): Promise<readonly Reader[]> {
  return await Promise.all(Array.from({ length: count }, async (_, i) => {
    const key = keys[i % keys.length] ?? "";
    const connection = await Connection.open(address);
    return { key, connection, response: await connection.send({ method: "GET", path: objectPath(key) }) };
  }));
}

/** The digest of what a reader gets, "broken" if the connection breaks before the end. */
async function readSlowly({ response }: Reader, pauseMs: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  try {
    let unpaused = 0;
    for await (const chunk of response.chunks()) {
      chunks.push(chunk);
      unpaused += chunk.byteLength;
      if (pauseMs > 0 && unpaused > 512 * 1024) {
        unpaused = 0;
        await wait(pauseMs);
      }
    }
  } catch {
    return "broken";
  }
  return sha256(Buffer.concat(chunks));
}

/** Writes new bytes over every place that a careless server might still be sending from. */
async function disturb(client: Client, round: number): Promise<void> {
  const filler = new Random(round).bytes(1024 ** 2);
  const put = async (key: string, body: Uint8Array) => {
    const { status } = await client.request({ method: "PUT", path: objectPath(key), body });
    if (status >= 300) throw new Error(`PUT ${key}: ${status}`);
  };
  await put("overwritten", new Random(round + 1000).bytes(objectMib * 1024 ** 2));
  await client.request({ method: "DELETE", path: objectPath("deleted") });
  await inParallel(Array.from({ length: l1Mib }).keys(), 8, (i) => put(`disturbance ${i}`, filler));
}

/**
 * Readers that stall for `stallSeconds` or read slowly while their objects are overwritten, deleted and evicted get the
 * bytes they began with or a broken connection; readers that go away leave nothing behind. In the end no read lease is
 * left.
 */
export async function stalledReaders(
  run: SuiteRun,
  { stallSeconds, idleTimeout }: { readonly stallSeconds: number; readonly idleTimeout: string },
): Promise<void> {
  const { checks, runtime, folder } = run;
  const flags = { "l1-size": `${l1Mib}MiB`, l2: `file://${folder}/stalled`, "idle-timeout": idleTimeout };
  const server = await ServerProcess.start({ runtime, flags });
  const client = new Client(server.address, new Ledger());
  const digests = new Map<string, string>();
  for (const key of keys) {
    const body = new BigBody(key, objectMib);
    digests.set(key, body.digest());
    await client.request({ method: "PUT", path: objectPath(key), body: body.pieces(), sizeBytes: body.sizeBytes });
  }
  const stalled = await openReaders(server.address, 6);
  const leaving = await openReaders(server.address, 6);
  const slow = await openReaders(server.address, 24);
  const stalledUntil = wait(stallSeconds * 1000);

  const slowDigests = Promise.all(slow.map((reader) => readSlowly(reader, 20)));
  for (let round = 0; round < 3; round++) await disturb(client, round);
  for (const { connection } of leaving) connection.close();
  for (const [i, digest] of (await slowDigests).entries()) {
    const key = slow[i]?.key ?? "";
    checks.equal(`a slow reader of ${key}`, { actual: digest, expected: digests.get(key) });
  }
  await stalledUntil;
  await disturb(client, 3);
  const outcomes = await Promise.all(stalled.map((reader) => readSlowly(reader, 0)));
  for (const [i, digest] of outcomes.entries()) {
    const key = stalled[i]?.key ?? "";
    checks.that(
      `a reader of ${key} that stalled gets right bytes or a broken connection`,
      digest === "broken" || digest === digests.get(key),
    );
  }
  const broken = outcomes.filter((digest) => digest === "broken").length;
  console.log(`${stalled.length} readers stalled for ${stallSeconds} s: ${broken} were broken off`);
  for (const { connection } of [...stalled, ...slow]) connection.close();
  const { l1 } = await until(() => readStatus(client), ({ l1 }) => l1.readLeases === 0, { timeoutMs: 30_000 });
  checks.equal("read leases in the end", { actual: l1.readLeases, expected: 0 });
  client.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
}
