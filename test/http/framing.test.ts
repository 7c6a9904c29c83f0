import { afterAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { memoryServer } from "./memory_server.ts";
import { RawSocket } from "./raw_socket.ts";

/**
 * Messages framed in ways that two readers may take differently (RFC 9112, 5-7), over a real socket. What a runtime
 * does wrong today stands here as "today": the day its test fails, docs/RUNTIMES.md has a line less.
 */
const made = memoryServer();
const { app, storage, errors } = made;
const isBun = currentRuntime().name === "bun";

afterAll(() => made.server.stop());

const HEAD = "PUT /v1/objects/f HTTP/1.1\r\nHost: h\r\n";
const NEXT = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const LAST = "0\r\n\r\n";

/**
 * The statuses of all answers until the connection closes or a healthy answer comes, and whether it stays open then.
 */
async function answers(sent: string): Promise<string> {
  const socket = made.open().write(new Uint8Array(Array.from(sent, (c) => c.charCodeAt(0))));
  const seen: (number | string)[] = [];
  try {
    while (seen.at(-1) !== "healthy") {
      const { status, body } = await socket.response();
      seen.push(new TextDecoder().decode(body) === "ok\n" ? "healthy" : status);
    }
  } catch {
    seen.push("closed");
  }
  socket.destroy();
  return seen.join(" ");
}

const stored = async () => (await made.fetch("/v1/objects/f")).text();

const refused = {
  "both lengths": `${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n${LAST}`,
  "both lengths, chunked first": `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n${LAST}`,
  "two lengths that differ": `${HEAD}Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello`,
  "a list of lengths that differ": `${HEAD}Content-Length: 5, 3\r\n\r\nhello`,
  "a length with a plus sign": `${HEAD}Content-Length: +5\r\n\r\nhello`,
  "a negative length": `${HEAD}Content-Length: -5\r\n\r\nhello`,
  "a hexadecimal length": `${HEAD}Content-Length: 0x5\r\n\r\nhello`,
  "a length with a space": `${HEAD}Content-Length: 5 5\r\n\r\nhello`,
  "an empty length": `${HEAD}Content-Length: \r\n\r\n`,
  "a length beyond 64 bits": `${HEAD}Content-Length: 18446744073709551621\r\n\r\nhello`,
  "chunked before another coding": `${HEAD}Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n${LAST}`,
  "a coding alone": `${HEAD}Transfer-Encoding: gzip\r\n\r\nhello`,
  "chunked twice": `${HEAD}Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n${LAST}`,
  "a coding that ends as chunked does": `${HEAD}Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n${LAST}`,
  "a vertical tab before chunked": `${HEAD}Transfer-Encoding: \vchunked\r\n\r\n5\r\nhello\r\n${LAST}`,
  "a space before the colon": `${HEAD}Transfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n${LAST}`,
  "chunked over HTTP/1.0":
    `PUT /v1/objects/f HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n${LAST}`,
  "a folded line": `${HEAD}X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello`,
  "a field without a name": `${HEAD}: a\r\nContent-Length: 5\r\n\r\nhello`,
  "a line without a colon": `${HEAD}Xa\r\nContent-Length: 5\r\n\r\nhello`,
  "a NUL in a field": `${HEAD}X: a\0b\r\nContent-Length: 5\r\n\r\nhello`,
  "a bare CR in a field": `${HEAD}X: a\rContent-Length: 5\r\n\r\nhello`,
  "a chunk that ends with LF": `${CHUNKED}5\nhello\n0\n\n`,
  "a chunk extension that ends with LF": `${CHUNKED}5;a=b\nhello\r\n${LAST}`,
  "a chunk size with 0x": `${CHUNKED}0x5\r\nhello\r\n${LAST}`,
  "a chunk size with a sign": `${CHUNKED}+5\r\nhello\r\n${LAST}`,
  "a negative chunk size": `${CHUNKED}-5\r\nhello\r\n${LAST}`,
  "no chunk size": `${CHUNKED}\r\nhello\r\n${LAST}`,
  "a chunk size beyond 64 bits": `${CHUNKED}10000000000000005\r\nhello\r\n${LAST}`,
  "a chunk longer than its size": `${CHUNKED}5\r\nhelloXX\r\n${LAST}`,
  "a chunk without its end": `${CHUNKED}5\r\nhello${LAST}`,
};

for (const [name, sent] of Object.entries(refused)) {
  test(`PUT with ${name} stores nothing, and what follows is not taken for a request`, async () => {
    await made.fetch("/v1/objects/f", { method: "PUT", body: "before" });
    // Deno closes on a chunk that is none, and may have no time to answer.
    expect(await answers(sent + NEXT)).toMatch(isBun ? /^400 closed$/ : /^(?:400 )?closed$/);
    expect(await stored()).toBe("before");
  });
}

const taken = {
  "zeros before the length": `${HEAD}Content-Length: 0005\r\n\r\nhello`,
  "chunked in capitals": `${HEAD}Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n${LAST}`,
  "chunk extensions": `${CHUNKED}5;a=b\r\nhello\r\n0;c\r\n\r\n`,
  "zeros before a chunk size": `${CHUNKED}${"0".repeat(40)}5\r\nhello\r\n${LAST}`,
  "many small chunks": `${CHUNKED}${Array.from("hello", (c) => `1\r\n${c}\r\n`).join("")}${LAST}`,
};

for (const [name, sent] of Object.entries(taken)) {
  test(`PUT with ${name} stores the body and keeps the connection`, async () => {
    await made.fetch("/v1/objects/f", { method: "DELETE" });
    expect(await answers(sent + NEXT)).toBe("201 healthy");
    expect(await stored()).toBe("hello");
  });
}

test("PUT with the same length twice is refused, and the connection kept", async () => {
  const sent = `${HEAD}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`;
  expect(await answers(sent + NEXT)).toBe("400 healthy");
});

test("PUT with another coding before chunked is refused: the bytes are not those of the object", async () => {
  await made.fetch("/v1/objects/f", { method: "PUT", body: "before" });
  const sent = `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n${LAST}`;
  expect((await answers(sent + NEXT)).slice(0, 3)).toBe("400");
  expect(await stored()).toBe("before");
});

test("PUT that is followed by trailer fields is stored, and today Bun closes after it (oven-sh/bun#32887)", async () => {
  await made.fetch("/v1/objects/f", { method: "DELETE" });
  const sent = `${CHUNKED}5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n`;
  expect(await answers(sent + NEXT)).toBe(isBun ? "201 400 closed" : "201 healthy");
  expect(await stored()).toBe("hello");
});

test("an empty line before a request is skipped, and today Bun refuses it", async () => {
  expect(await answers(`\r\n${NEXT}`)).toBe(isBun ? "400 closed" : "healthy");
});

test("PUT with an offer to upgrade is stored, and today Deno refuses a body beside one", async () => {
  await made.fetch("/v1/objects/f", { method: "PUT", body: "before" });
  const offer = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEA\r\nUpgrade: h2c\r\n";
  const sent = `${HEAD}${offer}Content-Length: 5\r\n\r\nhello`;
  expect(await answers(sent + NEXT)).toBe(isBun ? "200 healthy" : "400 closed");
  expect(await stored()).toBe(isBun ? "hello" : "before");
});

test("CONNECT is refused, and today Deno takes its content for the next request", async () => {
  await made.fetch("/v1/objects/f", { method: "PUT", body: "before" });
  const content = `${HEAD}Content-Length: 6\r\n\r\nhidden`;
  const connect = `CONNECT h:80 HTTP/1.1\r\nHost: h\r\nContent-Length: ${content.length}\r\n\r\n`;
  // Bun takes what follows for the tunnel, and answers nothing where it comes with the head.
  if (!isBun) expect(await answers(connect + content + NEXT)).toBe("405 200 healthy");
  expect(await stored()).toBe(isBun ? "before" : "hidden");
});

test("today Bun closes on a request behind an answer that takes a turn of the event loop (oven-sh/bun#38128)", async () => {
  const server = currentRuntime().serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 60,
    onError: () => {},
    async fetch() {
      await setImmediate();
      return new Response("later", { status: 202 });
    },
  });
  const socket = new RawSocket(server.address.port).write(NEXT + NEXT);
  const statuses = [];
  if (isBun) await socket.closed();
  else for (let i = 0; i < 2; i++) statuses.push((await socket.response()).status);
  socket.destroy();
  await server.stop();
  expect(statuses).toEqual(isBun ? [] : [202, 202]);
});

test("a hundred pipelined requests are answered in order when each answer is ready at once", async () => {
  const socket = made.open();
  const keys = Array.from({ length: 100 }, (_, i) => `p${i}`);
  for (const key of keys) await made.fetch(`/v1/objects/${key}`, { method: "PUT", body: key });
  socket.write(keys.map((key) => `GET /v1/objects/${key} HTTP/1.1\r\nHost: h\r\n\r\n`).join(""));
  const bodies = [];
  for (const _ of keys) bodies.push(new TextDecoder().decode((await socket.response()).body));
  socket.destroy();
  expect(bodies).toEqual(keys);
});

test("a connection goes on after refusals, and after answers without a body", async () => {
  const get = (path: string, ...fields: readonly string[]) =>
    [`GET ${path} HTTP/1.1`, "Host: h", ...fields, "", ""].join("\r\n");
  await made.fetch("/v1/objects/f", { method: "PUT", body: "x" });
  const etag = (await made.fetch("/v1/objects/f")).headers.get("etag");
  const requests = {
    [get("/nope")]: 404,
    [get("/v1/objects/%zz")]: 400,
    [get("/v1/objects/f", `If-None-Match: ${etag}`)]: 304,
    [get("/v1/objects/f", "Range: bytes=9-")]: 416,
    ["POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"]: 405,
    ["DELETE /v1/objects/f HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"]: 204,
  };
  const socket = made.open();
  const seen = [];
  for (const sent of Object.keys(requests)) seen.push((await socket.write(sent).response()).status);
  socket.write(NEXT.replace("GET", "HEAD"));
  seen.push((await socket.response(true)).status, (await socket.write(NEXT).response()).status);
  socket.destroy();
  expect(seen).toEqual([...Object.values(requests), 200, 200]);
});

test("a request is answered when its client has closed its own side", async () => {
  const socket = made.open().write(NEXT).end();
  expect((await socket.response()).status).toBe(200);
  await socket.closed();
});

test("a head beyond the limits is refused, and the connection closed", async () => {
  const long = "a".repeat(70_000);
  const many = Array.from({ length: 250 }, (_, i) => `X-${i}: a\r\n`).join("");
  const heads = [`GET /${long} HTTP/1.1\r\nHost: h\r\n\r\n`, `GET / HTTP/1.1\r\nHost: h\r\nX: ${long}\r\n\r\n`];
  for (const head of [...heads, `GET / HTTP/1.1\r\nHost: h\r\n${many}\r\n`]) {
    // Deno refuses while the rest is on its way, so that the answer may be lost.
    expect(await answers(head)).toMatch(isBun ? /^431 closed$/ : /^(?:400 )?closed$/);
  }
});

for (const [version, field] of [["1.1", "Connection: close\r\n"], ["1.0", ""]] as const) {
  test(`an upload over HTTP/${version} that is refused is read to its end before its connection closes`, async () => {
    await made.fetch("/v1/objects/f", { method: "PUT", body: "before" });
    const half = new Uint8Array(1024 * 1024);
    const head = `PUT /v1/objects/f HTTP/${version}\r\nHost: h\r\n${field}If-None-Match: *\r\n`;
    made.events.clear();
    const socket = connect(made.server.address.port, "127.0.0.1");
    let [answer, failure] = ["", ""];
    socket.on("data", (data: Uint8Array) => answer += new TextDecoder().decode(data));
    socket.on("error", (error) => failure ||= error.message);
    let isOpen = true;
    socket.on("end", () => isOpen = false);
    const closed = once(socket, "close");
    socket.write(`${head}Content-Length: ${2 * half.length}\r\n\r\n`);
    socket.write(half);
    expect((await made.events.requestEnd("PUT")).status).toBe("412");
    // Whatever the server does with the connection at the refusal, it has done when it has answered others.
    for (let i = 0; i < 3; i++) await made.fetch("/healthz");
    expect(isOpen).toBe(true);
    socket.write(half, (error) => failure ||= error?.message ?? "");
    await closed;
    expect([failure, answer.split(" ")[1]]).toEqual(["", "412"]);
  });
}

test("nothing failed inside and nothing is left open after all of these", async () => {
  await made.fetch("/healthz");
  expect([errors, storage.open, app.activeRequests()]).toEqual([[], { reads: 0, uploads: 0 }, 0]);
});
