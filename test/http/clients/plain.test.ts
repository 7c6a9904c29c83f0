/** The wire of build clients that know GET and PUT alone, as it was observed: any prefix is a cache for them. */
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "bun:test";
import { clientServer, clientToken } from "./client_server.ts";

const client = clientToken("client");
const server = clientServer([client]);
const { ask } = server;
afterAll(() => server.stop());

const basic = { authorization: `Basic ${Buffer.from(`any:${client.secret}`).toString("base64")}` };
const bodyOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());

test("bazel: PUT is one of 200, 201, 202 and 204, GET takes gzip and gets the bytes as they are, a miss is a 404", async () => {
  const action = "b".repeat(64);
  for (const path of [`/v1/objects/bazel/cas/${"a".repeat(64)}`, `/v1/objects/bazel/ac/${action}`]) {
    expect((await ask(`GET ${path}`, { headers: { "accept-encoding": "gzip" } })).status).toBe(404);
    const body = gzipSync(path);
    expect((await ask(`PUT ${path}`, { body })).status).toBe(201);
    expect((await ask(`PUT ${path}`, { body })).status).toBe(200);
    const got = await ask(`GET ${path}`, { headers: { "accept-encoding": "gzip" } });
    expect([got.status, got.headers.get("content-encoding"), (await bodyOf(got)).equals(body)]).toEqual([
      200,
      null,
      true,
    ]);
  }
  // Where the blob of an action's result is gone, it is a miss and stored again.
  expect((await ask(`DELETE /v1/objects/bazel/cas/${"a".repeat(64)}`)).status).toBe(204);
  expect((await ask(`GET /v1/objects/bazel/cas/${"a".repeat(64)}`)).status).toBe(404);
});

test("gradle: Basic with the first request, and its own content type", async () => {
  const path = `/v1/objects/gradle/${"0123456789abcdef".repeat(2)}`;
  const headers = {
    ...basic,
    "content-type": "application/vnd.gradle.build-cache-artifact.v1",
    "x-gradle-version": "4.4.1",
  };
  expect((await ask(`GET ${path}`, { headers: basic })).status).toBe(404);
  expect((await ask(`PUT ${path}`, { body: "entry", headers })).status).toBe(201);
  const got = await ask(`GET ${path}`, { headers: { ...basic, "accept-encoding": "gzip,deflate" } });
  expect([got.status, got.headers.get("content-type"), await got.text()]).toEqual([
    200,
    "application/vnd.gradle.build-cache-artifact.v1",
    "entry",
  ]);
});

test("rush: a key directly below the root, any 2xx for PUT, and 404 for a miss", async () => {
  const path = `/v1/objects/rush/project-${"d".repeat(40)}`;
  expect((await ask(`GET ${path}`)).status).toBe(404);
  expect((await ask(`PUT ${path}`, { body: "tar" })).ok).toBe(true);
  expect(await (await ask(`GET ${path}`)).text()).toBe("tar");
});

test("ccache: HEAD says what is there before it is stored again", async () => {
  const path = `/v1/objects/ccache/9c/${"e".repeat(31)}`;
  expect((await ask(`HEAD ${path}`)).status).toBe(404);
  expect((await ask(`PUT ${path}`, { body: "result" })).status).toBe(201);
  expect((await ask(`HEAD ${path}`)).status).toBe(200);
});

test("metro: a body in chunks without a type comes back byte for byte, with no coding", async () => {
  const body = gzipSync("module");
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(body.subarray(0, 5));
      controller.enqueue(body.subarray(5));
      controller.close();
    },
  });
  const path = `/v1/objects/metro/${"f".repeat(40)}`;
  const put = await ask(`PUT ${path}`, { body: stream });
  expect(put.status).toBe(201);
  const got = await ask(`GET ${path}`);
  expect([got.headers.get("content-encoding"), (await bodyOf(got)).equals(body)]).toEqual([null, true]);
});
