import { afterEach, expect, test } from "bun:test";
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { currentRuntime } from "../../src/runtime/mod.ts";
import type { ByteSource, Sender, SendResult, Server } from "../../src/runtime/runtime.ts";
import { CopyingSender, KeptResponses } from "../../src/runtime/sender.ts";
import { RawSocket } from "../http/raw_socket.ts";

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
const SCRIBBLE = 0xee;
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

/** An object in shared memory that is overwritten as soon as it is released, as the arena would be. */
class FakeObject implements ByteSource {
  readonly memory: Uint8Array;
  readonly released: Promise<string>;
  releases = 0;
  readonly #failAt: number;
  readonly #endAt: number;
  readonly #hereTo: number;
  /** The buffer for bytes from a tier; each chunk overwrites the one before. Some tiers hand out Buffers. */
  readonly #buffer: Uint8Array | undefined;
  #resolve: (outcome: string) => void = () => {};

  constructor(sizeBytes: number, options: {
    readonly failAt?: number;
    readonly endAt?: number;
    /** Bytes from here on are only in the chunks. */
    readonly hereTo?: number;
    readonly fromTier?: boolean;
  } = {}) {
    this.memory = new Uint8Array(new SharedArrayBuffer(sizeBytes));
    for (let i = 0; i < sizeBytes; i += 4096) this.memory.fill(byteAt(i), i, i + 4096);
    this.#failAt = options.failAt ?? Infinity;
    this.#endAt = options.endAt ?? Infinity;
    this.#hereTo = options.hereTo ?? Infinity;
    this.#buffer = options.fromTier === true ? Buffer.alloc(CHUNK_BYTES) : undefined;
    this.released = new Promise((resolve) => this.#resolve = resolve);
  }

  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined {
    if (end > this.#hereTo) return undefined;
    return new Uint8Array(this.memory.subarray(start, end));
  }

  async *chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
    for (let at = start; at < end; at += CHUNK_BYTES) {
      if (at >= this.#failAt) throw new Error("the tier failed");
      if (at >= this.#endAt) return;
      const chunk = this.memory.subarray(at, Math.min(end, at + CHUNK_BYTES));
      this.#buffer?.set(chunk);
      yield this.#buffer?.subarray(0, chunk.length) ?? chunk;
    }
  }

  release(outcome: "finished" | "aborted"): void {
    this.releases++;
    this.memory.fill(SCRIBBLE);
    this.#resolve(outcome);
  }
}

/** Never equals the overwritten bytes; differs between neighbouring pages. */
function byteAt(offset: number): number {
  return (offset / 4096) % 199;
}

function expectRightBytes(body: Uint8Array, start = 0): void {
  for (let i = 0; i < body.length; i += 512) {
    const offset = start + i;
    if (body[i] !== byteAt(offset - offset % 4096)) {
      throw new Error(`compare body: wrong byte at ${offset}: ${body[i]}`);
    }
  }
}

function serveObject(object: FakeObject, options: { start?: number; end?: number; sender?: Sender } = {}) {
  const runtime = currentRuntime();
  const sender = options.sender ?? runtime.createSender({ idleTimeoutSeconds: 0 });
  const errors: unknown[] = [];
  const ends: SendResult[] = [];
  const server = runtime.serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 1,
    onError: (error) => errors.push(error),
    fetch(request, context) {
      if (request.url.endsWith("/ping")) return new Response("pong");
      return sender.send(object, {
        start: options.start ?? 0,
        end: options.end ?? object.memory.length,
        pinnedBytes: object.memory.length,
        status: 200,
        headers: { "content-type": "text/plain" },
        context,
        onEnd: (result) => ends.push(result),
      });
    },
  });
  servers.push(server);
  return {
    server,
    errors,
    ends,
    get: () => new RawSocket(server.address.port).write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  };
}

/** On Bun it copies no bodies above copyLimitBytes. */
function streamingSender(): Sender {
  return currentRuntime().createSender({ idleTimeoutSeconds: 0, sizedBodyBytes: 0 });
}

function onBun<T>(bun: T, deno: T): T {
  return currentRuntime().name === "bun" ? bun : deno;
}

/** The length of a body, or "chunked". */
function framing(headers: Map<string, string> | Headers): string {
  return headers.get("content-length") ?? headers.get("transfer-encoding") ?? "";
}

async function pings(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await (await fetch(`http://127.0.0.1:${port}/ping`)).text();
}

/** Serves these answers; returns the port. */
function serve(answer: (request: Request) => Response): number {
  const server = currentRuntime().serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 0,
    fetch: answer,
    onError: () => {},
  });
  servers.push(server);
  return server.address.port;
}

test("Sender.copy has copied shared memory when it returns, so that the memory may be overwritten at once", async () => {
  const { memory } = new FakeObject(64 * 1024);
  const expected = Uint8Array.from(memory);
  const sender = currentRuntime().createSender({ idleTimeoutSeconds: 0 });
  const answer = ({ url }: Request): Response => {
    const [start = 0, end = 0] = new URL(url).pathname.slice(1).split("-").map(Number);
    memory.set(expected);
    const cut = memory.length / 4;
    const extents = start % 2 === 0 ? [memory] : [memory.subarray(0, cut), memory.subarray(cut)];
    const response = sender.copy(extents, { start, end, status: 206, headers: new Headers({ "x-a": "1" }) });
    memory.fill(SCRIBBLE);
    return response;
  };
  const port = serve(answer);
  const ranges = [[0, 65_536], [2, 3], [1, 65_536], [16_383, 16_385], [20_001, 40_000], [4, 4]] as const;
  for (const [start, end] of ranges) {
    const path = `http://127.0.0.1:${port}/${start}-${end}`;
    for (const response of [answer(new Request(path)), await fetch(path)]) {
      expect([response.status, response.headers.get("x-a")]).toEqual([206, "1"]);
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(expected.slice(start, end));
    }
  }
});

test("Sender.copy gives the first response again, whole and with its own fields, when it is asked for the same", async () => {
  const { memory } = new FakeObject(20_000);
  const expected = Uint8Array.from(memory);
  const sender = currentRuntime().createSender({ idleTimeoutSeconds: 0 });
  const headers = new Headers({ "x-a": "1" });
  let answers = 0;
  const answer = (): Response => {
    const options = { start: 0, end: memory.length, status: 200, headers, sameAs: headers };
    const response = sender.copy([memory], options);
    memory.fill(SCRIBBLE);
    response.headers.append("x-a", String(++answers + 1));
    return response;
  };
  const port = serve(answer);
  const responses = [answer(), ...await Promise.all([1, 2, 3].map(() => fetch(`http://127.0.0.1:${port}/`))), answer()];
  const fields: string[] = [];
  for (const response of responses) {
    fields.push(response.headers.get("x-a") ?? "");
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(expected);
  }
  expect(fields.toSorted()).toEqual(["1, 2", "1, 3", "1, 4", "1, 5", "1, 6"]);
  const other = sender.copy([memory], { start: 0, end: 1, status: 200, headers, sameAs: {} });
  expect(new Uint8Array(await other.arrayBuffer())).toEqual(Uint8Array.of(SCRIBBLE));
});

test("KeptResponses.of forgets all responses when the next one does not fit, and keeps none that never fits", async () => {
  // Each takes 4 KiB beside its body.
  const kept = new KeptResponses(12 * 1024);
  let made = 0;
  const of = (sameAs: object | undefined, sizeBytes: number) =>
    kept.of({ start: 0, end: sizeBytes, sameAs }, () => new Response(String(++made))).text();
  const [a, b, c] = [{}, {}, {}];
  expect([await of(a, 2048), await of(b, 2048), await of(a, 2048), await of(b, 2048)]).toEqual(["1", "2", "1", "2"]);
  expect([await of(c, 8192), await of(c, 8192), await of(a, 0), await of(a, 0)]).toEqual(["3", "3", "4", "4"]);
  expect([await of(b, 8193), await of(b, 8193), await of(a, 0)]).toEqual(["5", "6", "4"]);
  expect([await of(undefined, 1), await of(undefined, 1)]).toEqual(["7", "8"]);
});

test("Response.clone shares the bytes while nobody has read them", () => {
  // A copy of them would be 1 GiB.
  const response = new Response(new Uint8Array(16 * MIB).fill(1));
  const before = process.memoryUsage().rss;
  const clones = Array.from({ length: 64 }, () => response.clone());
  const after = process.memoryUsage().rss;
  expect(clones.filter(({ bodyUsed }) => bodyUsed)).toEqual([]);
  expect(after - before).toBeLessThan(256 * MIB);
});

test("Sender.send sends one private copy and releases at once when the body is small", async () => {
  const object = new FakeObject(4096);
  const { get, ends } = serveObject(object);
  const client = get();
  const { status, headers, body } = await client.response();
  client.destroy();
  expect({ status, length: headers.get("content-length"), type: headers.get("content-type") })
    .toEqual({ status: 200, length: "4096", type: "text/plain" });
  expectRightBytes(body);
  expect(object.releases).toBe(1);
  expect(ends).toEqual([{ outcome: "complete", bytesSent: 4096 }]);
});

test("Sender.send sends an empty body with its length when the range is empty", async () => {
  const object = new FakeObject(0);
  const { get } = serveObject(object);
  const client = get();
  const { headers, body } = await client.response();
  client.destroy();
  expect([headers.get("content-length"), body.length, await object.released]).toEqual(["0", 0, "finished"]);
});

test("Sender.send streams the right bytes and releases once when the body is large", async () => {
  const object = new FakeObject(20 * MIB);
  const { get, ends } = serveObject(object, { start: 4096, end: 17 * MIB });
  const client = get();
  const { headers, body } = await client.response();
  client.destroy();
  expect(body.length).toBe(17 * MIB - 4096);
  expectRightBytes(body, 4096);
  expect([headers.get("content-length"), headers.get("transfer-encoding")]).toEqual([String(body.length), null]);
  expect(await object.released).toBe("finished");
  expect(object.releases).toBe(1);
  expect(ends).toEqual([{ outcome: "complete", bytesSent: 17 * MIB - 4096 }]);
});

test("Sender.send never shows reused memory when a reader stalls half-way and continues", async () => {
  const object = new FakeObject(48 * MIB);
  const { get, server } = serveObject(object);
  const client = get();
  const { headers } = await client.head();
  await pings(server.address.port, 50);
  expect(object.releases).toBe(0);
  const body = await client.body(headers);
  client.destroy();
  expectRightBytes(body);
  expect([await object.released, object.releases]).toEqual(["finished", 1]);
});

test("Sender.send sends the right bytes of a tier's memory when a reader stalls half-way and continues", async () => {
  for (const pinnedLimitBytes of [0, 64 * MIB]) {
    const object = new FakeObject(48 * MIB, { fromTier: true });
    const sender = currentRuntime().createSender({ idleTimeoutSeconds: 0, pinnedLimitBytes });
    const { get, server } = serveObject(object, { sender });
    const client = get();
    const { headers } = await client.head();
    await pings(server.address.port, 50);
    const body = await client.body(headers);
    client.destroy();
    expect(body.length).toBe(48 * MIB);
    expectRightBytes(body);
    expect([await object.released, object.releases]).toEqual(["finished", 1]);
  }
});

test("Sender.send releases once as aborted when the reader goes away", async () => {
  const object = new FakeObject(48 * MIB);
  const { get, ends } = serveObject(object);
  const client = get();
  await client.take(1000);
  client.destroy();
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
  expect(ends.map((end) => [end.outcome, end.bytesSent < 48 * MIB])).toEqual([["aborted", true]]);
});

test("Sender.send breaks the connection when the source fails half-way", async () => {
  const object = new FakeObject(8 * MIB, { failAt: 5 * MIB });
  const { get, ends } = serveObject(object, { sender: streamingSender() });
  const client = get();
  await expect(client.response()).rejects.toThrow("the connection closed");
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
  expect(ends).toEqual([{ outcome: "aborted", bytesSent: 5 * MIB }]);
});

test("Sender.send breaks the connection when the source of a copied body fails half-way", async () => {
  const object = new FakeObject(8 * MIB, { failAt: 5 * MIB, fromTier: true });
  const { get, ends } = serveObject(object);
  await expect(get().response()).rejects.toThrow("the connection closed");
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
  // Bun has sent nothing of a body that it copies as a whole.
  expect(ends).toEqual([{ outcome: "aborted", bytesSent: onBun(0, 5 * MIB) }]);
});

test("Sender.send copies no more bodies than the limit, and copies again when they have left", async () => {
  const sender = currentRuntime().createSender({ idleTimeoutSeconds: 0, sizedBodyBytes: 48 * MIB });
  const stalled = serveObject(new FakeObject(48 * MIB), { sender }).get();
  await stalled.head();
  const other = () => serveObject(new FakeObject(MIB), { sender });
  const beyond = await other().get().response();
  expectRightBytes(beyond.body);
  expect([beyond.body.length, framing(beyond.headers)]).toEqual([MIB, onBun("chunked", String(MIB))]);
  stalled.destroy();
  const { get, ends } = other();
  while (framing((await get().response()).headers) !== String(MIB)) ends.length = 0;
  expect(ends.at(-1)).toEqual({ outcome: "complete", bytesSent: MIB });
});

test("Sender.send copies bodies of up to the limit and streams larger ones", async () => {
  const sender = currentRuntime().createSender({ idleTimeoutSeconds: 0, sizedBodyBytes: MIB });
  const framings: string[] = [];
  for (const end of [MIB, MIB + 1]) {
    const { headers, body } = await serveObject(new FakeObject(2 * MIB), { end, sender }).get().response();
    expectRightBytes(body);
    expect(body.length).toBe(end);
    framings.push(framing(headers));
  }
  expect(framings).toEqual([String(MIB), onBun("chunked", String(MIB + 1))]);
});

test("Sender.send gives the room of a copied body back when its source fails", async () => {
  const sender = currentRuntime().createSender({ idleTimeoutSeconds: 0, sizedBodyBytes: 2 * MIB });
  const failing = serveObject(new FakeObject(2 * MIB, { failAt: MIB }), { sender });
  await expect(failing.get().response()).rejects.toThrow("the connection closed");
  const { headers } = await serveObject(new FakeObject(2 * MIB), { sender }).get().response();
  expect(framing(headers)).toBe(String(2 * MIB));
});

test("Sender.send reports a copied body as aborted when the reader takes only a part", async () => {
  const object = new FakeObject(24 * MIB);
  const { get, ends, server } = serveObject(object);
  const client = get();
  await client.take(1000);
  client.destroy();
  while (ends.length === 0) await pings(server.address.port, 1);
  expect(ends.map(({ outcome }) => outcome)).toEqual(["aborted"]);
  expect(object.releases).toBe(1);
});

test("Sender.send lets curl show progress and resume a large body", async () => {
  const { server } = serveObject(new FakeObject(8 * MIB));
  const { port } = server.address;
  const curl = ["-sS", "-o", "/dev/null", "-w", "%header{content-length} %{size_download}"];
  const { stdout } = await promisify(execFile)("curl", [...curl, `http://127.0.0.1:${port}/`]);
  expect(stdout).toBe(`${8 * MIB} ${8 * MIB}`);
});

test("Sender.send breaks the connection when the source fails before its first byte", async () => {
  const object = new FakeObject(8 * MIB, { failAt: 0 });
  const { get } = serveObject(object);
  await expect(get().response()).rejects.toThrow("the connection closed");
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
});

test("Sender.send breaks the connection when the source ends early", async () => {
  const object = new FakeObject(8 * MIB, { endAt: 3 * MIB });
  const { get } = serveObject(object);
  await expect(get().response()).rejects.toThrow("the connection closed");
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
});

test("Sender.send releases the source when a reader stalls past idleTimeoutSeconds", async () => {
  const object = new FakeObject(48 * MIB);
  const sender = currentRuntime().createSender({ idleTimeoutSeconds: 1, pinnedLimitBytes: 0 });
  const { get } = serveObject(object, { sender });
  const client = get();
  const { headers } = await client.head();
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
  await expect(client.body(headers)).rejects.toThrow("the connection closed");
}, 15_000);

test("CopyingSender.send frees each copy but the last when the runtime asks for more", async () => {
  const object = new FakeObject(5 * MIB - 1);
  const freed: number[] = [];
  const free = (copy: Uint8Array) => freed.push(copy.length);
  const { get } = serveObject(object, {
    sender: new CopyingSender({ copyLimitBytes: 0, idleTimeoutSeconds: 0, free }),
  });
  const client = get();
  await client.response();
  client.destroy();
  expect(freed).toEqual(Array.from({ length: 19 }, () => MIB / 4));
});

test("CopyingSender.send goes on with the chunks where bytes are not there yet", async () => {
  for (const fromTier of [false, true]) {
    const object = new FakeObject(5 * MIB - 1, { hereTo: 2 * MIB + 5, fromTier });
    const sender = new CopyingSender({ copyLimitBytes: 0, idleTimeoutSeconds: 0 });
    const { body } = await serveObject(object, { sender, start: 4096 }).get().response();
    expect(body.length).toBe(5 * MIB - 1 - 4096);
    expectRightBytes(body, 4096);
    expect(await object.released).toBe("finished");
  }
});

test("CopyingSender.send sends the right bytes and releases with the last chunk when a reader is slow", async () => {
  const object = new FakeObject(12 * MIB);
  const { get } = serveObject(object, { sender: new CopyingSender({ copyLimitBytes: 0, idleTimeoutSeconds: 0 }) });
  const client = get();
  const { headers } = await client.head();
  const body = await client.body(headers);
  client.destroy();
  expectRightBytes(body);
  expect([await object.released, object.releases]).toEqual(["finished", 1]);
});
