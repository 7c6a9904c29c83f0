import { expect, test } from "bun:test";
import { EventStream, parseRecord, readNdjson } from "../../page/event_stream.js";

function bodyOf(pieces: readonly Uint8Array<ArrayBuffer>[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

test("readNdjson gives every value once when lines and characters are cut anywhere", async () => {
  const values = [{ a: "é😀" }, 2, "three", { four: [null] }];
  const bytes = new TextEncoder().encode(`\n${values.map((value) => JSON.stringify(value)).join("\n\n")}\n`);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen: unknown[] = [];
    for await (const value of readNdjson(bodyOf([bytes.slice(0, cut), bytes.slice(cut)]))) seen.push(value);
    expect(seen).toEqual(values);
  }
});

test("parseRecord keeps framing and fields apart when a record is an event, a group or a loss", () => {
  const time = "2026-11-23T01:00:00.000Z";
  expect(
    parseRecord({
      id: "7",
      name: "l1.removed",
      time,
      count: 2,
      folded: true,
      tenant: "",
      reason: "ttl",
      seconds: 0.00108105,
    }),
  )
    .toEqual({
      id: "7",
      name: "l1.removed",
      time: new Date(time),
      count: 2,
      fields: [["reason", "ttl"], ["seconds", "0.00108"]],
    });
  expect(parseRecord({ id: "9", name: "lost", count: null }))
    .toEqual({ id: "9", name: "lost", time: undefined, count: undefined, fields: [] });
  for (const bad of [null, 1, [], { name: 5 }]) expect(() => parseRecord(bad)).toThrow("parse live event");
});

/** A stream whose server answers as scripted, then hangs; `asked` are the requests' addresses and headers. */
function scripted(answers: readonly (() => Response)[]) {
  const asked: { readonly url: string; readonly headers: Readonly<Record<string, string>> }[] = [];
  const seen: string[] = [];
  const waits: number[] = [];
  const ready = Promise.withResolvers<void>();
  const stream = new EventStream({
    async fetch(url, { headers, signal }) {
      asked.push({ url, headers: Object.fromEntries(new Headers(headers)) });
      const answer = answers[asked.length - 1];
      if (answer !== undefined) return answer();
      ready.resolve();
      return await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    },
    wait: async (milliseconds) => void waits.push(milliseconds),
    onRecord: ({ name }) => seen.push(name),
    onState: (state, detail) => seen.push(`(${state}${detail === "" ? "" : `: ${detail}`})`),
  });
  return { stream, asked, seen, waits, ready: ready.promise };
}

const lines = (...records: readonly object[]) => () =>
  new Response(records.map((record) => `${JSON.stringify(record)}\n`).join(""));

test("EventStream goes on after the last event when the connection ends", async () => {
  const { stream, asked, seen, waits, ready } = scripted([lines({ id: "1", name: "a" }, { id: "2", name: "b" })]);
  const ended = stream.open({ types: "a,b" });
  await ready;
  stream.close();
  await ended;
  const headers = { accept: "application/x-ndjson" };
  expect(asked).toEqual([
    { url: "v1/events?type=a%2Cb", headers },
    { url: "v1/events?type=a%2Cb", headers: { ...headers, "last-event-id": "2" } },
  ]);
  expect(seen).toEqual(["(connecting)", "(open)", "a", "b", "(broken)", "(connecting)", "(closed)"]);
  expect(waits).toEqual([1000]);
});

test("EventStream waits longer each time when the server stays away, up to a bound", async () => {
  const away = () => {
    throw new TypeError("no connection");
  };
  const { stream, waits, ready } = scripted(Array.from({ length: 6 }, () => away));
  const ended = stream.open({ types: "*" });
  await ready;
  stream.close();
  await ended;
  expect(waits).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
});

test("EventStream tries again and says why when the server has no room for a listener", async () => {
  const { stream, seen, ready } = scripted([() => Response.json({ detail: "16 listen" }, { status: 503 })]);
  const ended = stream.open({ types: "*" });
  await ready;
  stream.close();
  await ended;
  expect(seen).toEqual(["(connecting)", "(broken: 16 listen)", "(connecting)", "(closed)"]);
});

test("EventStream stops and says why when the server refuses", async () => {
  const problem = (status: number) => () => Response.json({ detail: `because ${status}` }, { status });
  for (const [status, word] of [[401, "refused"], [400, "failed"], [404, "failed"]] as const) {
    const { stream, asked, seen } = scripted([problem(status)]);
    await stream.open({ types: "*" });
    expect([asked.length, seen]).toEqual([1, ["(connecting)", `(${word}: because ${status})`]]);
  }
});
