import { expect, test } from "bun:test";
import { frameHead } from "../../routes/batch/frames.ts";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { pattern } from "./contract_client.ts";
import { memoryApp } from "./memory_app.ts";
import { testToken } from "./tokens.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });
const text = (value: string) => new TextEncoder().encode(value);
const creator = testToken("creator", { scopes: ["create-only"] });
const prefixed = testToken("prefixed", { scopes: ["read", "write", "delete"], prefix: "mine/" });
const writer = testToken("writer", { scopes: ["read", "write"] });
const tokens = [creator, prefixed, writer].map(({ entry }) => entry);

function started(options: Parameters<typeof memoryApp>[1] = {}) {
  const made = memoryApp(sender, options);
  const post = async (path: string, body: BodyInit, headers: Readonly<Record<string, string>> = {}) =>
    await made.app.fetch(new Request(`http://vitrine/v1/batch/${path}`, { method: "POST", body, headers }), {});
  const put = async (key: string, bytes: Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}) => {
    const request = new Request(`http://vitrine/v1/objects/${key}`, { method: "PUT", body: bytes, headers });
    return (await made.app.fetch(request, {})).status;
  };
  return { ...made, post, put };
}

test("a token that may only create does not replace objects in a batch", async () => {
  const { post, put } = started({ tokens });
  expect(await put("there", text("x"), writer.bearer)).toBe(201);
  const body = new Blob(["there", "new"].flatMap((key) => [frameHead({ key }, 1), text("y")]));
  const { results } = await (await post("put", body, creator.bearer)).json();
  expect(results.map(({ status }: { status: number }) => status)).toEqual([412, 201]);
  expect((await post("get", '{"keys":["there"]}', creator.bearer)).status).toBe(403);
});

test("a token with a prefix reaches no other key in a batch", async () => {
  const { post, put, events } = started({ tokens });
  expect(await put("other", text("x"), writer.bearer)).toBe(201);
  const body = new Blob(["other", "mine/a"].flatMap((key) => [frameHead({ key }, 1), text("y")]));
  const statuses = async (answer: Response) =>
    (await answer.json()).results.map(({ status }: { status: number }) => status);
  expect(await statuses(await post("put", body, prefixed.bearer))).toEqual([403, 201]);
  const read = await (await post("get", '{"keys":["other","mine/a"]}', prefixed.bearer)).text();
  expect([...read.matchAll(/"status":(\d+)/g)].map(([, status]) => status)).toEqual(["403", "200"]);
  expect(await statuses(await post("delete", '{"keys":["other","mine/a"]}', prefixed.bearer))).toEqual([403, 204]);
  const refused = events.named("access.refused").map((fields) => "reason" in fields && fields.reason);
  expect(new Set(refused)).toEqual(new Set(["forbidden"]));
});

test("a batch of GETs releases what it holds when its reader goes away, wherever that is", async () => {
  const { post, put, storage, events } = started();
  for (const key of ["a", "b", "c", "d", "e"]) expect(await put(key, pattern(2_000_000))).toBe(201);
  for (let chunks = 0; chunks < 12; chunks++) {
    events.clear();
    const reader = (await post("get", '{"keys":["a","none","b","c","d","e"]}')).body?.getReader();
    for (let i = 0; i < chunks; i++) await reader?.read();
    await reader?.cancel();
    const { outcome } = await events.requestEnd("POST");
    expect([chunks, outcome, storage.open.reads]).toEqual([chunks, "aborted", 0]);
  }
});

test("a batch stores the later of two objects with one key last, whatever time the earlier takes", async () => {
  const { post, app, storage } = started();
  const reserve = storage.reserve.bind(storage);
  storage.reserve = (put) => {
    const upload = reserve(put);
    const turns = put.contentType === "text/slow" ? 50 : 0;
    const finish: typeof upload.finish = async (late) => {
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      return await upload.finish(late);
    };
    return { write: (chunk) => upload.write(chunk), abort: () => upload.abort(), finish };
  };
  const slow = frameHead({ key: "k", headers: { "content-type": "text/slow" } }, 1);
  const body = new Blob([
    slow,
    text("1"),
    frameHead({ key: "other" }, 1),
    text("x"),
    frameHead({ key: "k" }, 1),
    text("2"),
  ]);
  const { results } = await (await post("put", body)).json();
  expect(results.map(({ status }: { status: number }) => status)).toEqual([201, 201, 200]);
  expect(await (await app.fetch(new Request("http://vitrine/v1/objects/k"), {})).text()).toBe("2");
});

test("a batch of PUTs takes 10000 objects, and keeps those if there are more", async () => {
  const { post, app } = started();
  const frames = Array.from({ length: 10_000 }, () => [frameHead({ key: "a" }, 1), text("y")]).flat();
  const full = await post("put", new Blob(frames));
  expect((await full.json()).results.length).toBe(10_000);
  const over = await post(
    "put",
    new Blob([...frames, frameHead({ key: "b" }, 1), text("y")]),
  );
  expect([over.status, (await over.json()).detail]).toEqual([400, "parse frames: more than 10000 objects"]);
  const status = async (key: string) => (await app.fetch(new Request(`http://vitrine/v1/objects/${key}`), {})).status;
  expect([await status("a"), await status("b")]).toEqual([200, 404]);
});
