import { expect, test } from "bun:test";
import { afterBody } from "../../src/runtime/linger.ts";

/** A refused upload whose body never ends by itself. */
function upload({ chunks = 0, headers = {} }: { readonly chunks?: number; readonly headers?: Record<string, string> }) {
  let sent = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (sent++ < chunks) controller.enqueue(new Uint8Array(1000));
      return sent > chunks ? new Promise<void>(() => {}) : Promise.resolve();
    },
  });
  const half = { duplex: "half" };
  return new Request("http://vitrine/", { method: "PUT", body, headers, ...half });
}

const refusal = () => new Response("no", { status: 412 });
const never = { lingerMs: 1_000_000, silenceMs: 1_000_000 };

test("afterBody responds when the body is read to its end, and discards its chunks", async () => {
  let bytes = 0;
  const request = new Request("http://vitrine/", { method: "PUT", body: new Uint8Array(5000) });
  const answer = await afterBody(request, refusal(), { ...never, discard: (_chunk, bodyBytes) => bytes = bodyBytes });
  expect([answer.status, bytes]).toEqual([412, 5000]);
});

test("afterBody reads the body first when a success has left it unread, or its connection is to be closed", async () => {
  const read = async (status: number, headers: Record<string, string>) => {
    let bytes = 0;
    const init = { method: "PUT", body: new Uint8Array(5000), headers };
    const request = new Request("http://vitrine/", init);
    await afterBody(request, new Response(null, { status }), {
      ...never,
      discard: (_chunk, bodyBytes) => bytes = bodyBytes,
    });
    return bytes;
  };
  expect(await read(204, {})).toBe(5000);
  expect(await read(412, { expect: "100-continue", connection: "close" })).toBe(5000);
});

test("afterBody responds when the client stops sending", async () => {
  const answer = await afterBody(upload({ chunks: 3 }), refusal(), { ...never, silenceMs: 1, discard() {} });
  expect(answer.status).toBe(412);
});

test("afterBody responds when the client sends for too long", async () => {
  const answer = await afterBody(upload({ chunks: Infinity }), refusal(), { ...never, lingerMs: 1, discard() {} });
  expect(answer.status).toBe(412);
});

test("afterBody responds at once when the client may wait for it, or the body is missing or read", async () => {
  const read = new Request("http://vitrine/", { method: "PUT", body: "x" });
  await read.text();
  const requests = [
    upload({ headers: { expect: "100-continue" } }),
    new Request("http://vitrine/", { method: "DELETE" }),
    new Request("http://vitrine/"),
    read,
  ];
  for (const request of requests) {
    const answer = read === request ? new Response(null, { status: 201 }) : refusal();
    expect(afterBody(request, answer, { ...never, discard() {} })).toBe(answer);
  }
});
