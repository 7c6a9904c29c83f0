import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { Client } from "../support/http/client.ts";
import type { Address } from "../support/http/connection.ts";
import { readStatus } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

const MIB = 1024 * 1024;
const OBJECTS = 40;
const IDLE = 16;

/**
 * PUTs that announce much and send one byte, or a little at a time: they cost others nothing, in L1 and in the file
 * tier.
 */
export const announcedCase: HostileCase = {
  name: "announced",
  async run(run: SuiteRun) {
    await inL1(run);
    await inFileTier(run);
  },
};

async function inL1({ runtime, checks }: SuiteRun): Promise<void> {
  const flags = { workers: "2", l2: "none", "l1-size": "64MiB", "l1-admission-limit": "32MiB" };
  const server = await ServerProcess.start({ runtime, flags });
  const client = new Client(server.address, { record: () => {} });
  try {
    for (let i = 0; i < OBJECTS; i += 1) await put(client, `kept-${i}`, MIB);
    const announced = [4 * MIB, 32 * MIB, 30 * MIB, 64 * 1024 * MIB];
    const idle: Socket[] = [];
    for (let i = 0; i < IDLE; i += 1) {
      const length = i % 5 === 4 ? undefined : announced[i % 4];
      idle.push(await beginPut(server.address, i % 3 === 0 ? "same" : `idle-${i}`, length));
    }
    // The ninth of the last kind is refused by its length; the others are being taken.
    const isTaken = ({ l1 }: Awaited<ReturnType<typeof readStatus>>) => l1.writeLeases >= IDLE - 4;
    const { l1 } = await until(() => readStatus(client), isTaken, { timeoutMs: 5000 });
    checks.that("uploads are being taken", l1.writeLeases >= IDLE - 4, () => JSON.stringify(l1));
    checks.that("they hold what came", l1.stagingBytes <= IDLE * 256, () => JSON.stringify(l1));
    checks.equal("L1 keeps its objects", { actual: await countOf(client), expected: OBJECTS });
    for (const socket of idle) socket.destroy();
    const isFree = (status: Awaited<ReturnType<typeof readStatus>>) => status.l1.writeLeases === 0;
    const after = await until(() => readStatus(client), isFree, { timeoutMs: 10_000 });
    checks.equal("broken off, they hold nothing", { actual: after.l1.stagingBytes, expected: 0 });
    await put(client, "large", 8 * MIB);
    checks.equal("a large one still fits", { actual: await statusOf(client, "large"), expected: 200 });
  } finally {
    client.close();
    await server.kill();
  }
}

async function inFileTier({ runtime, checks, folder }: SuiteRun): Promise<void> {
  const flags = { workers: "2", l2: `file:${folder}/tier?max=64MiB`, "l1-size": "16MiB", "l1-admission-limit": "2MiB" };
  const server = await ServerProcess.start({ runtime, flags });
  const client = new Client(server.address, { record: () => {} });
  try {
    for (let i = 0; i < OBJECTS; i += 1) await put(client, `kept-${i}`, MIB, { "vitrine-durability": "l2" });
    const idle = await beginPut(server.address, "idle", 60 * MIB);
    await until(async () => await statusOf(client, "kept-0"), () => false, { timeoutMs: 1000 });
    checks.equal("the tier keeps its objects", { actual: await countOf(client), expected: OBJECTS });
    idle.destroy();
  } finally {
    client.close();
    await server.kill();
  }
}

/** Sends the head of a PUT and one byte of its body. */
async function beginPut(address: Address, key: string, length: number | undefined): Promise<Socket> {
  const socket = connect({ ...address, noDelay: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  const framing = length === undefined ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`;
  const body = length === undefined ? "1\r\nx\r\n" : "x";
  socket.write(`PUT /v1/objects/${key} HTTP/1.1\r\nHost: ${address.host}:${address.port}\r\n${framing}\r\n\r\n${body}`);
  socket.resume();
  return socket;
}

async function put(
  client: Client,
  key: string,
  sizeBytes: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const body = new Uint8Array(sizeBytes);
  const { status } = await client.request({ method: "PUT", path: `/v1/objects/${key}`, body, headers });
  if (status !== 201) throw new Error(`PUT ${key}: ${status}`);
}

async function statusOf(client: Client, key: string): Promise<number> {
  const { status } = await client.request({ method: "HEAD", path: `/v1/objects/${key}` });
  return status;
}

async function countOf(client: Client): Promise<number> {
  let found = 0;
  for (let i = 0; i < OBJECTS; i += 1) if (await statusOf(client, `kept-${i}`) === 200) found += 1;
  return found;
}
