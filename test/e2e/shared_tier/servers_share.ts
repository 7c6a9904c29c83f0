import { setTimeout as wait } from "node:timers/promises";
import { inParallel } from "../support/in_parallel.ts";
import { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { untilStored } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";

const timeoutMs = 20_000;
const sizes = [0, 100, 5000, 200_000, 3_000_000];

/** The engine that the servers share. */
export interface SharedEngine {
  /** The tier's URL. */
  readonly url: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Cuts all connections to it. */
  cut(): void;
}

interface Peer {
  readonly server: ServerProcess;
  readonly client: Client;
}

/** Bytes that tell which key and which write they are of. */
function contentOf(key: string, write: number, sizeBytes: number): Uint8Array {
  const random = new Random(write * 7919 + key.length);
  const bytes = new Uint8Array(sizeBytes);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(sizeBytes / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = random.uint32();
  bytes.set(new TextEncoder().encode(`${key}#${write}`).subarray(0, sizeBytes));
  return bytes;
}

async function start({ runtime }: SuiteRun, { url }: SharedEngine, write: "back" | "through"): Promise<Peer> {
  const flags = { workers: "2", "l1-size": "32MiB", l2: url, write };
  const server = await ServerProcess.start({ runtime, flags });
  return { server, client: new Client(server.address, new Ledger()) };
}

async function statusOf(client: Client, method: string, path: string, body?: Uint8Array): Promise<number> {
  try {
    return (await client.request({ method, path, ...(body === undefined ? {} : { body }) })).status;
  } catch {
    return 0;
  }
}

/** Two servers of two workers over one engine: what one stores the other serves, whatever happens between them. */
export async function serversShare(run: SuiteRun, engine: SharedEngine): Promise<void> {
  const { checks } = run;
  let a = await start(run, engine, "through");
  const b = await start(run, engine, "back");
  const keys = Array.from({ length: 100 }, (_, n) => `group ${n % 7}/key ${n}`);
  const contents = new Map(keys.map((key, n) => [key, contentOf(key, 1, sizes[n % sizes.length] ?? 0)]));

  const readFrom = async ({ client }: Peer, title: string, some: readonly string[]): Promise<void> => {
    await inParallel(some, 8, async (key) => {
      const { status, body } = await client.request({ method: "GET", path: objectPath(key) });
      const isRight = status === 200 && Buffer.compare(body, contents.get(key) ?? new Uint8Array()) === 0;
      checks.that(`${title}: ${key}`, isRight, () => `${status}, ${body.length} bytes`);
    });
  };
  const put = async ({ client }: Peer, key: string): Promise<number> =>
    await statusOf(client, "PUT", objectPath(key), contents.get(key));

  await inParallel(keys, 8, async (key) => {
    const status = await put(a, key);
    checks.equal(`PUT ${key}`, { actual: status, expected: 201 });
  });
  await readFrom(b, "B serves what A stored", keys);

  // A is killed in the middle of more writes: what it acknowledged is there.
  const acknowledged: string[] = [];
  const more = Array.from({ length: 240 }, (_, n) => `more/${n}`);
  more.forEach((key, n) => contents.set(key, contentOf(key, 2, sizes[n % sizes.length] ?? 0)));
  const load = inParallel(more, 8, async (key) => {
    if (await put(a, key) === 201) acknowledged.push(key);
  });
  await until(() => Promise.resolve(acknowledged.length), (count) => count > 40, { timeoutMs, everyMs: 5 });
  await a.server.kill();
  await load;
  checks.that("A was killed under load", acknowledged.length < more.length);
  await readFrom(b, "B serves what A acknowledged before it was killed", acknowledged);
  a = await start(run, engine, "through");

  // The engine goes and comes back: L1 goes on, and what the engine cannot take is an error, never a wrong answer.
  const resident = keys.slice(0, 4);
  await readFrom(b, "B serves before the engine goes", resident);
  await engine.kill();
  const during = await put(a, "while down");
  checks.equal("PUT through while the engine is down", { actual: during, expected: 503 });
  await readFrom(b, "B serves from L1 while the engine is down", resident);
  const readyz = async (peer: Peer) => {
    const { host, port } = peer.server.adminAddress;
    return (await fetch(`http://${host}:${port}/readyz`)).status;
  };
  const notReady = await until(() => readyz(a), (status) => status === 503, { timeoutMs });
  checks.equal("readyz while the engine is down", { actual: notReady, expected: 503 });
  const kept = Array.from({ length: 50 }, (_, n) => `kept/${n}`);
  for (const [n, key] of kept.entries()) {
    contents.set(key, contentOf(key, 3, sizes[n % 4] ?? 0));
    checks.equal(`PUT back while the engine is down: ${key}`, { actual: await put(b, key), expected: 201 });
  }
  await engine.restart();
  for (const peer of [a, b]) {
    const ready = await until(() => readyz(peer), (status) => status === 200, { timeoutMs });
    checks.equal("readyz after the engine is back", { actual: ready, expected: 200 });
  }
  checks.that("the log says why", a.server.output.includes("a tier cannot be used"), () => a.server.output);
  await readFrom(a, "A serves what the engine had before its restart", [...keys, ...acknowledged]);
  await untilStored(b.client, timeoutMs);
  await readFrom(a, "A serves what B acknowledged while the engine was down", kept);

  // Its connections are cut again and again under load.
  const cutKeys = Array.from({ length: 100 }, (_, n) => `cut/${n}`);
  cutKeys.forEach((key, n) => contents.set(key, contentOf(key, 4, sizes[n % sizes.length] ?? 0)));
  const cutting = setInterval(() => engine.cut(), 40);
  const stored: string[] = [];
  await inParallel(cutKeys, 8, async (key) => {
    if (await put(a, key) === 201) stored.push(key);
  });
  clearInterval(cutting);
  for (const peer of [a, b]) await until(() => readyz(peer), (status) => status === 200, { timeoutMs });
  await readFrom(b, "B serves what A acknowledged while connections were cut", stored);

  // It is stopped for some seconds: answers come later, and are right.
  engine.pause();
  const waiting = readFrom(b, "B serves what it asked for while the engine stood still", [...keys.slice(0, 20)]);
  const resuming = wait(3000).then(() => engine.resume());
  await Promise.all([waiting, resuming]);

  await untilStored(b.client, timeoutMs);
  for (const { server, client } of [a, b]) {
    client.close();
    checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
  }
  await engine.kill();
}
