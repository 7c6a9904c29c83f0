import { expect, test } from "bun:test";
import fc from "fast-check";
import { afterBody, isRewritten } from "../../src/runtime/bun_requests.ts";

const paths = { prefix: "/v1/objects/", methods: ["GET"] };

/** A request whose path had these segments, with the path that its URL has. */
function routed(segments: readonly string[], urlPath: string) {
  return { url: `http://h${urlPath}`, params: Object.fromEntries(segments.map((each, i) => [`s${i}`, each])) };
}

const segment = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", "a", "/", "a/b", "%", "é", "a b"));

test("isRewritten is false exactly when the path in the URL is the one that was sent", () => {
  fc.assert(
    fc.property(
      fc.array(segment, { minLength: 1, maxLength: 6 }),
      fc.array(segment, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (sent, other, same) => {
        const inUrl = same ? sent : other;
        const request = routed(sent, paths.prefix + inUrl.map(encodeURIComponent).join("/"));
        expect(isRewritten(request, paths)).toBe(sent.join("/") !== inUrl.join("/"));
      },
    ),
  );
});

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
