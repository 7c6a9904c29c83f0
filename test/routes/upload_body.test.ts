import { expect, test } from "bun:test";
import { frameHead } from "../../routes/batch/frames.ts";
import { UploadBody } from "../../routes/http/body.ts";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { AT_ONCE_BYTES } from "../../src/storage/storage.ts";
import { pattern } from "../http/contract_client.ts";
import { memoryApp } from "../http/memory_app.ts";

const sender = new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 });

/** Stores an object by one of the APIs; what its upload was given before the last step, and in it. */
async function stored(api: "objects" | "s3" | "batch", sizeBytes: number) {
  const { app, storage } = memoryApp(sender);
  const given: { readonly before: number[]; last?: number | undefined } = { before: [] };
  const reserve = storage.reserve.bind(storage);
  storage.reserve = (put) => {
    const upload = reserve(put);
    return {
      write(chunk) {
        given.before.push(chunk.length);
        return upload.write(chunk);
      },
      abort: () => upload.abort(),
      finish(late) {
        given.last = late?.last?.length;
        return upload.finish(late);
      },
    };
  };
  const bytes = pattern(sizeBytes);
  const request = {
    objects: () => new Request("http://vitrine/v1/objects/k", { method: "PUT", body: bytes, headers: lengthOf(bytes) }),
    s3: () => new Request("http://vitrine/s3/default/k", { method: "PUT", body: bytes, headers: lengthOf(bytes) }),
    batch: () =>
      new Request("http://vitrine/v1/batch/put", {
        method: "POST",
        body: new Blob([frameHead({ key: "k" }, sizeBytes), bytes]),
      }),
  }[api]();
  const answer = await app.fetch(request, {});
  expect([answer.status, api === "batch" ? (await answer.json()).results[0].status : 201]).toEqual([
    api === "objects" ? 201 : 200,
    201,
  ]);
  const path = api === "s3" ? "s3/default/k" : "v1/objects/k";
  const read = await app.fetch(new Request(`http://vitrine/${path}`), {});
  expect(new Uint8Array(await read.arrayBuffer())).toEqual(bytes);
  return given;
}

function lengthOf(bytes: Uint8Array): Readonly<Record<string, string>> {
  return { "content-length": String(bytes.length) };
}

for (const api of ["objects", "s3", "batch"] as const) {
  test(`PUT by ${api} gives a body to the last step of its upload if it is at most 16 KiB`, async () => {
    expect(await stored(api, AT_ONCE_BYTES)).toEqual({ before: [], last: AT_ONCE_BYTES });
    const larger = await stored(api, AT_ONCE_BYTES + 1);
    expect(larger.last).toBe(undefined);
    expect(larger.before.reduce((sum, bytes) => sum + bytes, 0)).toBe(AT_ONCE_BYTES + 1);
  });
}

test("a copy by S3 has the bytes of its source, which gives their memory back before the last step", async () => {
  const { app, storage } = memoryApp(sender);
  const bytes = pattern(AT_ONCE_BYTES);
  const put = async (key: string, headers: Readonly<Record<string, string>>, body?: Uint8Array<ArrayBuffer>) =>
    await app.fetch(
      new Request(`http://vitrine/s3/default/${key}`, { method: "PUT", headers, body: body ?? null }),
      {},
    );
  expect((await put("a", lengthOf(bytes), bytes)).status).toBe(200);
  const get = storage.get.bind(storage);
  storage.get = async (key, listener) => {
    const read = await get(key, listener);
    if (read === undefined) return undefined;
    async function* chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
      for await (const chunk of read?.chunks(start, end) ?? []) {
        const lent = new Uint8Array(chunk);
        yield lent;
        lent.fill(0);
      }
    }
    return { ...read, chunks, release: (outcome) => read.release(outcome) };
  };
  expect((await put("b", { "x-amz-copy-source": "/default/a", "content-length": "0" })).status).toBe(200);
  const copied = await app.fetch(new Request("http://vitrine/s3/default/b"), {});
  expect(new Uint8Array(await copied.arrayBuffer())).toEqual(bytes);
});

test("PUT by S3 reads no further than its chunks' announced length, which may be small where the body is not", async () => {
  const { app } = memoryApp(sender);
  let sent = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      sent += 1;
      controller.enqueue(new TextEncoder().encode(`400\r\n${"x".repeat(1024)}\r\n`));
      if (sent === 1000) controller.close();
    },
  });
  const headers = {
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x-amz-decoded-content-length": "10",
  };
  const answer = await app.fetch(new Request("http://vitrine/s3/default/k", { method: "PUT", headers, body }), {});
  expect(answer.status).toBe(400);
  expect(sent).toBeLessThan(10);
});

test("UploadBody holds no piece that is more or less than the announced length, and none twice", () => {
  const written: number[] = [];
  const upload = { write: (chunk: Uint8Array) => void written.push(chunk.length), abort() {}, finish: neverFinished };
  const body = new UploadBody(upload, 2);
  for (const bytes of [1, 3, 2, 2]) void body.take(new Uint8Array(bytes));
  expect(written).toEqual([1, 3, 2]);
  const unannounced = new UploadBody(upload, undefined);
  void unannounced.take(new Uint8Array(0));
  expect(written).toEqual([1, 3, 2, 0]);
});

function neverFinished(): never {
  throw new Error("finish upload: nobody should");
}
