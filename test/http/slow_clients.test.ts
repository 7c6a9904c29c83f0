import { afterAll, expect, test } from "bun:test";
import { frameHead } from "../../routes/batch/frames.ts";
import { TransferWatch } from "../../src/core/watchdog.ts";
import { every } from "../../src/core/clock.ts";
import { memoryServer } from "./memory_server.ts";

const MIB = 1024 * 1024;
const transferWatch = new TransferWatch({ timeoutMs: 800, nowMs: () => performance.now(), every });
const slow = memoryServer({ transferWatch });
const { knobs, events, app } = slow;
knobs.maxObjectBytes = 64 * MIB;

afterAll(() => slow.server.stop());

/** Sends a byte every 50 ms until the connection is closed or the function that it returns is called. */
function trickle(write: () => void): () => void {
  const timer = setInterval(write, 50);
  return () => clearInterval(timer);
}

for (
  const [name, head] of [
    ["a length", "content-length: 100000"],
    ["a length beyond what is read in one go", "content-length: 1000000"],
    ["no length", "transfer-encoding: chunked"],
  ] as const
) {
  test(`a body with ${name} that arrives a byte at a time ends as a 408, and nothing of it is kept`, async () => {
    events.clear();
    const client = slow.open();
    client.write(`PUT /v1/objects/slow HTTP/1.1\r\nhost: localhost\r\n${head}\r\nexpect: 100-continue\r\n\r\n`);
    const chunk = head.startsWith("transfer") ? "1\r\nx\r\n" : "x";
    const stop = trickle(() => client.write(chunk));
    let answer = await client.response();
    if (answer.status === 100) answer = await client.response();
    stop();
    const { type } = JSON.parse(Buffer.from(answer.body).toString());
    expect([answer.status, type]).toEqual([408, "/problems/too-slow"]);
    expect(answer.headers.get("connection")).toContain("close");
    await client.closed();
    client.destroy();
    expect(events.named("limit.reached")).toMatchObject([{ limit: "transfer", method: "PUT" }]);
    expect([app.activeRequests(), (await slow.fetch("/v1/objects/slow")).status]).toEqual([0, 404]);
  }, 15_000);
}

test("a batch whose frames arrive a byte at a time ends as a 408, and keeps the objects before", async () => {
  const frames = [frameHead({ key: "whole" }, 1), new Uint8Array(1), frameHead({ key: "slow" }, 100_000)];
  const client = slow.open();
  const head = "host: localhost\r\ncontent-length: 1000000\r\nexpect: 100-continue";
  client.write(`POST /v1/batch/put HTTP/1.1\r\n${head}\r\n\r\n`);
  for (const part of frames) client.write(part);
  const stop = trickle(() => client.write("x"));
  let answer = await client.response();
  if (answer.status === 100) answer = await client.response();
  stop();
  expect([answer.status, JSON.parse(Buffer.from(answer.body).toString()).type]).toEqual([408, "/problems/too-slow"]);
  await client.closed();
  client.destroy();
  const statuses = ["whole", "slow"].map(async (key) => (await slow.fetch(`/v1/objects/${key}`)).status);
  expect(await Promise.all(statuses)).toEqual([200, 404]);
  expect(slow.storage.open).toEqual({ reads: 0, uploads: 0 });
}, 15_000);

test("a batch that is taken a byte at a time ends, and its objects are released", async () => {
  await slow.fetch("/v1/objects/large", { method: "PUT", body: new Uint8Array(48 * MIB) });
  events.clear();
  const client = slow.open();
  const keys = JSON.stringify({ keys: ["large", "large"] });
  client.write(`POST /v1/batch/get HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${keys.length}\r\n\r\n${keys}`);
  const { status } = await client.head();
  while (app.activeRequests() > 0) {
    await client.take(1).catch(() => {});
    await new Promise((resolve) => void setTimeout(resolve, 50));
  }
  expect(status).toBe(200);
  expect(events.named("limit.reached")).toMatchObject([{ limit: "transfer", method: "POST" }]);
  expect(events.named("http.request.end")).toMatchObject([{ outcome: "aborted" }]);
  await client.closed();
  client.destroy();
  expect(slow.storage.open.reads).toBe(0);
}, 15_000);

test("a response that is taken a byte at a time ends, and its object is released", async () => {
  await slow.fetch("/v1/objects/large", { method: "PUT", body: new Uint8Array(48 * MIB) });
  events.clear();
  const client = slow.open();
  client.write("GET /v1/objects/large HTTP/1.1\r\nhost: localhost\r\n\r\n");
  const { status } = await client.head();
  while (app.activeRequests() > 0) {
    await client.take(1).catch(() => {});
    await new Promise((resolve) => void setTimeout(resolve, 50));
  }
  expect(status).toBe(200);
  expect(events.named("limit.reached")).toMatchObject([{ limit: "transfer", method: "GET" }]);
  expect(events.named("http.request.end")).toMatchObject([{ outcome: "aborted" }]);
  await client.closed();
  client.destroy();
  expect((await slow.fetch("/healthz")).status).toBe(200);
}, 15_000);
