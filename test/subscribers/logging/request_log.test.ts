import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventBus } from "../../../src/events/bus.ts";
import { RequestLog } from "../../../src/subscribers/logging/request_log.ts";
import { LogFile } from "../../../src/subscribers/logging/log.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const REQUEST = `00-${TRACE}-b7ad6b7169203331-00`;
const GET = { route: "/v1/objects/{key}", method: "GET" } as const;

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vitrine-request-log-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The files of the folder with their lines. */
function files(): Readonly<Record<string, readonly string[]>> {
  const names = readdirSync(folder).toSorted();
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1)]),
  );
}

test("RequestLog tells who asked for what, which tiers were tried and how long each took, without the key", async () => {
  const clock = { ms: 1000, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const bus = new EventBus({ schedule: () => () => {}, clock });
  const lines: string[] = [];
  const log = new RequestLog((line) => lines.push(line) > 0);
  bus.subscribe(log);
  const call = { tenant: "t", keys: 1, requestId: REQUEST } as const;
  bus.publish("http.request.start", { ...GET, requestId: REQUEST });
  bus.publish("l2.lookup.completed", { ...call, tier: "fs", outcome: "miss", seconds: 0.001 });
  bus.publish("l2.lookup.completed", { ...call, tier: "s3", outcome: "hit", seconds: 0.02 });
  bus.publish("lookup.finished", { ...call, tier: "s3", result: "hit", reason: "", bytes: 10 });
  bus.publish("l2.load.completed", {
    ...call,
    tier: "s3",
    outcome: "ok",
    bytes: 10,
    requestedBytes: 10,
    seconds: 0.0305,
  });
  clock.ms = 1060;
  bus.publish("http.request.end", {
    ...GET,
    status: "200",
    outcome: "complete",
    seconds: 0.06,
    requestBytes: 0,
    responseBytes: 10,
    requestId: REQUEST,
    tenant: "t",
    parameter: "a%2Fb",
    headersMs: "21.5",
  });
  await bus.flush();
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([{
    time: "1970-01-01T00:00:01.000Z",
    request_id: "b7ad6b7169203331",
    trace_id: TRACE,
    tenant: "t",
    method: "GET",
    route: "/v1/objects/{key}",
    key_hash: createHash("sha256").update("t\0a/b").digest("hex").slice(0, 16),
    status: 200,
    outcome: "complete",
    result: "hit",
    tier: "s3",
    object_bytes: 10,
    request_bytes: 0,
    response_bytes: 10,
    ms: 60,
    headers_ms: 21.5,
    tiers: [
      { tier: "fs", op: "lookup", outcome: "miss", ms: 1 },
      { tier: "s3", op: "lookup", outcome: "hit", ms: 20 },
      { tier: "s3", op: "load", outcome: "ok", ms: 30.5, bytes: 10 },
    ],
  }]);
  expect(log.numbers()).toEqual({ pending: 0, dropped: 0 });
});

test("RequestLog writes nothing for a request that is not traced", async () => {
  const bus = new EventBus({ schedule: () => () => {} });
  const lines: string[] = [];
  bus.subscribe(new RequestLog((line) => lines.push(line) > 0));
  bus.publish("http.request.start", GET);
  const end = { ...GET, status: "200", outcome: "complete", seconds: 0, requestBytes: 0, responseBytes: 0 } as const;
  bus.publish("http.request.end", end);
  await bus.flush();
  expect(lines).toEqual([]);
});

test("LogFile goes on in the file that is there, and in a new one after it was renamed and closed", () => {
  const path = join(folder, "log");
  const first = new LogFile({ path });
  first.write("old");
  first.close();
  const file = new LogFile({ path });
  file.write("a");
  file.flush();
  renameSync(path, `${path}.1`);
  // Until it is closed, the lines go where the file is now.
  file.write("b");
  file.close();
  file.write("c");
  file.close();
  expect([files(), file.lost]).toEqual([{ log: ["c"], "log.1": ["old", "a", "b"] }, 0]);
});

test("LogFile counts lines as lost while the file cannot be written, and writes again when it can", () => {
  const told: unknown[] = [];
  const onFailure = (error: unknown): void => void told.push(error);
  const file = new LogFile({ path: join(folder, "later", "log"), onFailure });
  file.write("a");
  file.flush();
  file.write("b");
  file.flush();
  expect(file.lost).toBe(2);
  // One line for a failure that lasts.
  expect(told.map((error) => error instanceof Error && error.message.includes("ENOENT"))).toEqual([true]);
  mkdirSync(join(folder, "later"));
  file.write("c");
  file.close();
  expect([file.lost, readFileSync(join(folder, "later", "log"), "utf8")]).toEqual([2, "c\n"]);
});
