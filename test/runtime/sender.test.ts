import { afterEach, expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import type { ByteSource, Sender, SendResult, Server } from "../../src/runtime/runtime.ts";
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
  /** The buffer for bytes from a tier; each chunk overwrites the one before. */
  readonly #buffer: Uint8Array | undefined;
  #resolve: (outcome: string) => void = () => {};

  constructor(sizeBytes: number, options: {
    readonly failAt?: number;
    readonly endAt?: number;
    readonly fromTier?: boolean;
  } = {}) {
    this.memory = new Uint8Array(new SharedArrayBuffer(sizeBytes));
    for (let i = 0; i < sizeBytes; i += 4096) this.memory.fill(byteAt(i), i, i + 4096);
    this.#failAt = options.failAt ?? Infinity;
    this.#endAt = options.endAt ?? Infinity;
    this.#buffer = options.fromTier === true ? new Uint8Array(CHUNK_BYTES) : undefined;
    this.released = new Promise((resolve) => this.#resolve = resolve);
  }

  copy(start: number, end: number): Uint8Array<ArrayBuffer> {
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

async function pings(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await (await fetch(`http://127.0.0.1:${port}/ping`)).text();
}

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
  // Bun sends streams chunked whatever the headers say (oven-sh/bun#10507).
  expect(headers.get("content-length") ?? headers.get("transfer-encoding"))
    .toBe(currentRuntime().name === "bun" ? "chunked" : String(body.length));
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
  const { get, ends } = serveObject(object);
  const client = get();
  await expect(client.response()).rejects.toThrow("the connection closed");
  expect([await object.released, object.releases]).toEqual(["aborted", 1]);
  expect(ends).toEqual([{ outcome: "aborted", bytesSent: 5 * MIB }]);
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
  expect(freed).toEqual([MIB, MIB, MIB, MIB]);
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
