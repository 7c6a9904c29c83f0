import { expect } from "bun:test";
import { frameHead, FrameReader } from "../../../routes/batch/frames.ts";
import { type ContractCase, type ContractClient, pattern, refusal, sha256 } from "../contract_client.ts";

interface Item {
  readonly key: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const text = (value: string) => new TextEncoder().encode(value);

function framesOf(items: readonly Item[]): Uint8Array<ArrayBuffer>[] {
  return items.flatMap(({ bytes, ...header }) => [frameHead(header, bytes.length), bytes]);
}

async function putAll(client: ContractClient, body: readonly Uint8Array<ArrayBuffer>[]): Promise<Response> {
  return await client.fetch("/v1/batch/put", { method: "POST", body: new Blob([...body]) });
}

async function ask(client: ContractClient, path: string, query: object): Promise<Response> {
  return await client.fetch(`/v1/batch/${path}`, { method: "POST", body: JSON.stringify(query) });
}

async function resultsOf(response: Response): Promise<readonly Record<string, unknown>[]> {
  expect(response.status).toBe(200);
  return (await response.json()).results;
}

/** The headers and the bytes of the frames of an answer. */
async function readFrames(
  response: Response,
): Promise<readonly { header: Record<string, unknown>; bytes: Uint8Array }[]> {
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/vnd.vitrine.frames"]);
  let whole: Uint8Array | undefined = new Uint8Array(await response.arrayBuffer());
  const reader = new FrameReader(() => {
    const chunk = whole;
    whole = undefined;
    return Promise.resolve(chunk);
  });
  const found = [];
  for (let frame = await reader.head(); frame !== undefined; frame = await reader.head()) {
    const bytes = new Uint8Array(frame.bodyBytes);
    let at = 0;
    for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece()) {
      bytes.set(piece, at);
      at += piece.length;
    }
    expect(at).toBe(bytes.length);
    found.push({ header: JSON.parse(JSON.stringify(frame.header)), bytes });
  }
  return found;
}

const statusOf = ({ header }: { readonly header: Record<string, unknown> }) => header["status"];

/** POST /v1/batch/get, /put and /delete. */
export const batchCases: readonly ContractCase[] = [
  {
    name: "a batch of PUTs stores each object, and a batch of GETs reads them in the order of its keys",
    async run(client) {
      await client.create("old", "before");
      const big = pattern(client.fixture.limits.copyLimitBytes * 3 + 17);
      const put = await putAll(
        client,
        framesOf([
          { key: "a/../b", headers: { "content-type": "text/plain", "vitrine-meta-n": "1" }, bytes: text("first") },
          { key: "old", bytes: text("after") },
          { key: "big", headers: { "cache-control": "max-age=60, private" }, bytes: big },
          { key: "empty", bytes: text("") },
        ]),
      );
      const results = await resultsOf(put);
      expect(results.map(({ key, status }) => [key, status])).toEqual([["a/../b", 201], ["old", 200], ["big", 201], [
        "empty",
        201,
      ]]);
      const frames = await readFrames(
        await ask(client, "get", { keys: ["big", "none", "a/../b", "empty", "old", "big"] }),
      );
      expect(frames.map(statusOf)).toEqual([200, 404, 200, 200, 200, 200]);
      expect(frames.map(({ bytes }) => bytes.length)).toEqual([big.length, 0, 5, 0, 5, big.length]);
      expect(await sha256(new Uint8Array(frames[0]?.bytes ?? []))).toBe(await sha256(big));
      expect(frames[1]?.header).toEqual({
        key: "none",
        status: 404,
        type: "/problems/not-found",
        title: "Not here",
        detail: "find object: no such key",
        reason: "never_stored",
      });
      const [, , first] = frames;
      expect(first?.header).toEqual({
        key: "a/../b",
        status: 200,
        headers: {
          "content-type": "text/plain",
          etag: results[0]?.["etag"],
          age: "0",
          "cache-status": "vitrine; hit; detail=l1",
          "vitrine-meta-n": "1",
        },
      });
      expect(frames[0]?.header["headers"]).toMatchObject({ "cache-control": "max-age=60, private" });
      const single = await client.get("old");
      expect([await single.text(), single.headers.get("etag")]).toEqual(["after", String(results[1]?.["etag"])]);
    },
  },
  {
    name: "a batch of GETs ends after the first miss when it is asked to",
    async run(client) {
      for (const key of ["a", "b", "d"]) await client.create(key, key);
      const keys = ["a", "b", "c", "d"];
      const until = await readFrames(await ask(client, "get", { keys, stop_at_miss: true }));
      expect(until.map(statusOf)).toEqual([200, 200, 404]);
      const whole = await readFrames(await ask(client, "get", { keys }));
      expect(whole.map(statusOf)).toEqual([200, 200, 404, 200]);
    },
  },
  {
    name: "a batch of PUTs goes on after an object that is refused",
    async run(client) {
      const etag = await client.create("there", "x");
      const tooLarge = pattern(client.fixture.limits.maxObjectBytes + 1);
      const results = await resultsOf(
        await putAll(
          client,
          framesOf([
            { key: "there", headers: { "if-none-match": "*" }, bytes: text("y") },
            {
              key: "bad digest",
              headers: { "content-digest": `sha-256=:${await sha256(text("z"))}:` },
              bytes: text("y"),
            },
            { key: "", bytes: text("y") },
            { key: "\ud800", bytes: text("y") },
            { key: "k".repeat(1025), bytes: text("y") },
            { key: "large", bytes: tooLarge },
            { key: "header", headers: { "bad name": "x" }, bytes: text("y") },
            { key: "ttl", headers: { "cache-control": "max-age=x" }, bytes: text("y") },
            { key: "k".repeat(1024), bytes: text("y") },
            { key: "there", headers: { "if-match": etag }, bytes: text("z") },
          ]),
        ),
      );
      expect(results.map(({ status, type }) => [status, type])).toEqual([
        [412, "/problems/precondition-failed"],
        [400, "/problems/digest-mismatch"],
        [400, "/problems/bad-key"],
        [400, "/problems/bad-key"],
        [400, "/problems/bad-key"],
        [413, "/problems/too-large"],
        [400, "/problems/bad-request"],
        [400, "/problems/bad-request"],
        [201, undefined],
        [200, undefined],
      ]);
      expect(await (await client.get("there")).text()).toBe("z");
    },
  },
  {
    name: "a batch of PUTs that is no body of frames is refused, and keeps the objects before the fault",
    async run(client) {
      const whole = framesOf([{ key: "kept", bytes: text("x") }]);
      const long = new DataView(new ArrayBuffer(12));
      long.setUint32(0, 64 * 1024 + 1);
      const faults: readonly Uint8Array<ArrayBuffer>[][] = [
        [text("short")],
        [new Uint8Array(long.buffer)],
        [frameHead({ key: "cut" }, 5), text("1234")],
        [frameHead({ key: "cut" }, 5).subarray(0, 15)],
        [frameHead({ no: "key" }, 0)],
        [frameHead({ key: "k", other: 1 }, 0)],
        [frameHead({ key: 1 }, 0)],
        [frameHead([], 0)],
      ];
      for (const fault of faults) {
        expect(await refusal(await putAll(client, [...whole, ...fault]))).toEqual([400, "/problems/bad-request"]);
        expect(await (await client.get("kept")).text()).toBe("x");
        expect((await client.get("cut")).status).toBe(404);
      }
      expect(await resultsOf(await putAll(client, []))).toEqual([]);
    },
  },
  {
    name: "a batch of PUTs leaves the last of several objects with one key",
    async run(client) {
      const items = Array.from({ length: 60 }, (_, i) => ({ key: `k${i % 3}`, bytes: text(`${i}`) }));
      const results = await resultsOf(await putAll(client, framesOf(items)));
      expect(results.map(({ status }) => status)).toEqual(items.map((_, i) => i < 3 ? 201 : 200));
      for (const i of [57, 58, 59]) expect(await (await client.get(`k${i % 3}`)).text()).toBe(`${i}`);
    },
  },
  {
    name: "a batch of DELETEs answers for each key",
    async run(client) {
      await client.create("a", "x");
      await client.create("b", "x");
      const results = await resultsOf(await ask(client, "delete", { keys: ["b", "none", "a", ""] }));
      expect(results.map(({ key, status, type }) => [key, status, type])).toEqual([
        ["b", 204, undefined],
        ["none", 404, "/problems/not-found"],
        ["a", 204, undefined],
        ["", 400, "/problems/bad-key"],
      ]);
      expect([(await client.get("a")).status, (await client.get("b")).status]).toEqual([404, 404]);
    },
  },
  {
    name: "a batch takes 1 to 10000 keys",
    async run(client) {
      await client.create("a", "x");
      const many = await readFrames(await ask(client, "get", { keys: Array(10_000).fill("a") }));
      expect(many.filter((frame) => statusOf(frame) === 200 && frame.bytes.length === 1).length).toBe(10_000);
      for (
        const body of ["", "{", "[]", "{}", '{"keys":[]}', '{"keys":[1]}', '{"keys":["a"],"more":1}', '{"keys":"a"}']
      ) {
        const answer = await client.fetch("/v1/batch/get", { method: "POST", body });
        expect(await refusal(answer)).toEqual([400, "/problems/bad-request"]);
      }
      for (const path of ["get", "delete"]) {
        const answer = await ask(client, path, { keys: Array(10_001).fill("a") });
        expect(await refusal(answer)).toEqual([400, "/problems/bad-request"]);
      }
    },
  },
  {
    name: "a batch reports a tier that fails for each object that it has to ask for",
    needs: ["setFailing"],
    async run(client) {
      await client.create("a", "x");
      client.fixture.setFailing?.(true);
      try {
        const frames = await readFrames(await ask(client, "get", { keys: ["none", "a"] }));
        expect(frames.map(({ header }) => [header["status"], header["type"]])).toEqual([
          [503, "/problems/tier-failed"],
          [200, undefined],
        ]);
        const [deleted] = await resultsOf(await ask(client, "delete", { keys: ["a"] }));
        expect([deleted?.["status"], deleted?.["type"]]).toEqual([503, "/problems/tier-failed"]);
      } finally {
        client.fixture.setFailing?.(false);
      }
    },
  },
  {
    name: "a batch counts the bytes of its bodies",
    needs: ["events"],
    async run(client) {
      const body = framesOf([{ key: "a", bytes: pattern(3000) }, { key: "b", bytes: pattern(300_000) }]);
      const sent = body.reduce((sum, { length }) => sum + length, 0);
      client.events.clear();
      await (await putAll(client, body)).arrayBuffer();
      expect((await client.events.requestEnd("POST")).requestBytes).toBe(sent);
      client.events.clear();
      const received = (await (await ask(client, "get", { keys: ["a", "b"] })).arrayBuffer()).byteLength;
      const { responseBytes, outcome, route } = await client.events.requestEnd("POST");
      expect([responseBytes, outcome, route]).toEqual([received, "complete", "/v1/batch/get"]);
    },
  },
];
