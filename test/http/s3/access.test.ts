import { afterAll, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { AwsClient } from "aws4fetch";
import { parseSignature, type Signature, signingKeyOf } from "../../../src/access/sigv4.ts";
import { MAX_FAILURES } from "../../../src/access/failure_table.ts";
import { testToken } from "../tokens.ts";
import { s3Refusal, s3Server, testPair, texts } from "./s3_server.ts";

const all = testPair("all");
const other = testPair("other", { tenant: "other" });
const reader = testPair("reader", { scopes: ["read"] });
const creator = testPair("creator", { scopes: ["read", "create-only"] });
const prefixed = testPair("prefixed", { prefix: "b/builds/" });
const any = testPair("any", { any_tenant: true });
const bearer = testToken("bearer", { scopes: ["read", "write"] });
const tokens = [all, other, reader, creator, prefixed, any, bearer].map(({ entry }) => entry);
const server = s3Server({ tokens });
const { signed } = server;
afterAll(() => server.stop());

const put = (body: string, more: object = {}) => ({ method: "PUT", body, ...more });

test("a signed request is admitted with the rights of its key pair", async () => {
  expect((await signed(all, "/s3/b/dir/a%20b@c%2Bd(1).txt", put("hello"))).status).toBe(200);
  expect(await (await signed(reader, "/s3/b/dir/a%20b@c%2Bd(1).txt")).text()).toBe("hello");
  expect(await s3Refusal(await signed(reader, "/s3/b/x", put("x")))).toEqual([403, "AccessDenied"]);
  expect(await s3Refusal(await signed(other, "/s3/b/dir/a%20b@c%2Bd(1).txt"))).toEqual([404, "NoSuchKey"]);
  expect((await signed(creator, "/s3/b/created", put("first"))).status).toBe(200);
  expect(await s3Refusal(await signed(creator, "/s3/b/created", put("second")))).toEqual([412, "PreconditionFailed"]);
  expect(await s3Refusal(await signed(reader, "/s3/b/created", { method: "DELETE" }))).toEqual([403, "AccessDenied"]);
});

test("a key pair with a prefix reaches only keys that begin with it", async () => {
  await signed(all, "/s3/b/secret", put("x"));
  expect((await signed(prefixed, "/s3/b/builds/1", put("x"))).status).toBe(200);
  const refused = [
    signed(prefixed, "/s3/b/secret"),
    signed(prefixed, "/s3/b/builds", put("x")),
    signed(prefixed, "/s3/b/secret", { method: "DELETE" }),
    signed(prefixed, "/s3/b/builds/2", put("", { headers: { "x-amz-copy-source": "b/secret" } })),
    signed(prefixed, "/s3/c?list-type=2"),
    signed(prefixed, "/s3/b?list-type=2&prefix=secret"),
  ];
  for (const each of refused) expect(await s3Refusal(await each)).toEqual([403, "AccessDenied"]);
  const listed = await (await signed(prefixed, "/s3/b?list-type=2")).text();
  expect(texts(listed, "Key")).toEqual(["builds/1"]);
  const body = "<Delete><Object><Key>secret</Key></Object><Object><Key>builds/1</Key></Object></Delete>";
  const deleted = await (await signed(prefixed, "/s3/b?delete", { method: "POST", body })).text();
  expect([texts(deleted, "Code"), texts(deleted, "Key")]).toEqual([["AccessDenied"], ["secret", "builds/1"]]);
});

test("a request is refused when it is not signed, or by somebody who is not known", async () => {
  expect(await s3Refusal(await server.fetch("/s3/b/k"))).toEqual([403, "AccessDenied"]);
  expect(await s3Refusal(await signed(testPair("stranger"), "/s3/b/k"))).toEqual([403, "InvalidAccessKeyId"]);
  const wrong = { ...all, secretAccessKey: `${all.secretAccessKey}x` };
  expect(await s3Refusal(await signed(wrong, "/s3/b/k"))).toEqual([403, "SignatureDoesNotMatch"]);
  const malformed = { headers: { authorization: "AWS4-HMAC-SHA256 nothing" } };
  expect(await s3Refusal(await server.fetch("/s3/b/k", malformed))).toEqual([400, "AuthorizationHeaderMalformed"]);
  // A key pair is no bearer token, nor a password.
  for (const secret of [all.secretAccessKey, all.entry.s3 ?? ""]) {
    const bearing = { headers: { authorization: `Bearer ${secret}` } };
    expect((await server.fetch("/v1/objects/b/k", bearing)).status).toBe(401);
  }
  expect((await server.fetch("/s3/b/k", put("x", { headers: bearer.bearer }))).status).toBe(200);
});

test("a signature is refused when any part of the request differs from what was signed", async () => {
  const sign = async (init: object) => {
    const client = new AwsClient({ ...all, service: "s3", region: "eu-west-3" });
    return await client.sign(`http://127.0.0.1:${server.port}/s3/b/k?x-id=PutObject`, {
      aws: { datetime: server.time() },
      ...init,
    });
  };
  const request = await sign({ method: "PUT", body: "hello", headers: { "x-amz-meta-a": "1" } });
  const resend = async (change: { readonly url?: string; readonly method?: string; readonly headers?: object }) => {
    const headers = new Headers({ ...Object.fromEntries(request.headers), ...change.headers });
    const response = await fetch(change.url ?? request.url, { method: change.method ?? "PUT", headers, body: "hello" });
    return response.status === 200 ? "ok" : (await s3Refusal(response))[1];
  };
  expect(await resend({})).toBe("ok");
  expect(await resend({ url: request.url.replace("/k", "/l") })).toBe("SignatureDoesNotMatch");
  expect(await resend({ url: request.url.replace("Put", "Get") })).toBe("SignatureDoesNotMatch");
  expect(await resend({ method: "POST" })).toBe("SignatureDoesNotMatch");
  expect(await resend({ headers: { "x-amz-meta-a": "2" } })).toBe("SignatureDoesNotMatch");
  expect(await resend({ headers: { "x-amz-meta-b": "2" } })).toBe("AccessDenied");
  expect(await resend({ headers: { "x-amz-copy-source": "b/secret" } })).toBe("AccessDenied");
  expect(await resend({ headers: { "vitrine-tenant": "" } })).toBe("AccessDenied");
});

test("a signature is refused when its time is more than 15 minutes off", async () => {
  for (const [offset, status] of [[-900, 404], [900, 404], [-901, 403], [901, 403]] as const) {
    const response = await signed(all, "/s3/b/never", { aws: { datetime: server.time(offset) } });
    const [found, code] = await s3Refusal(response);
    expect([offset, found, code]).toEqual([offset, status, status === 403 ? "RequestTimeTooSkewed" : "NoSuchKey"]);
  }
});

test("a presigned URL is good until it expires, for what was signed alone", async () => {
  await signed(all, "/s3/b/presigned", put("hello"));
  const path = "/s3/b/presigned?X-Amz-Expires=60";
  const at = (offset: number) => ({ aws: { signQuery: true, datetime: server.time(offset) } });
  expect(await (await signed(all, path, at(-60))).text()).toBe("hello");
  expect(await s3Refusal(await signed(all, path, at(-61)))).toEqual([403, "AccessDenied"]);
  expect(await s3Refusal(await signed(all, path, at(901)))).toEqual([403, "AccessDenied"]);
  const long = "/s3/b/presigned?X-Amz-Expires=604801";
  expect(await s3Refusal(await signed(all, long, at(0)))).toEqual([400, "AuthorizationQueryParametersError"]);
  expect(await s3Refusal(await server.fetch("/s3/b/k?X-Amz-Signature=00"))).toEqual([
    400,
    "AuthorizationQueryParametersError",
  ]);
  expect((await signed(all, "/s3/b/presigned2?X-Amz-Expires=60", { ...at(0), ...put("x") })).status).toBe(200);
});

test("a signed payload is verified, and so are the chunks of a signed stream", async () => {
  const sha256 = createHash("sha256").update("hello").digest("hex");
  const headers = { "x-amz-content-sha256": sha256 };
  expect((await signed(all, "/s3/b/hashed", put("hello", { headers }))).status).toBe(200);
  expect(await s3Refusal(await signed(all, "/s3/b/hashed", put("hellO", { headers })))).toEqual([
    400,
    "XAmzContentSHA256Mismatch",
  ]);
  const stream = async (change: (body: string) => string) => {
    const client = new AwsClient({ ...all, service: "s3", region: "us-east-1" });
    const request = await client.sign(`http://127.0.0.1:${server.port}/s3/b/streamed`, {
      method: "PUT",
      headers: {
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-decoded-content-length": "5",
        "content-encoding": "aws-chunked",
      },
      aws: { datetime: server.time() },
    });
    const authorization = request.headers.get("authorization") ?? "";
    const signature = parseSignature(authorization, request.headers.get("x-amz-date"));
    if (signature === undefined) throw new Error("parse signature");
    const body = signedChunks(["he", "llo", ""], signingKeyOf(all.secretAccessKey, signature), signature);
    return await fetch(request.url, { method: "PUT", headers: request.headers, body: change(body) });
  };
  expect((await stream((body) => body)).status).toBe(200);
  expect(await (await signed(all, "/s3/b/streamed")).text()).toBe("hello");
  const broken = [
    (body: string) => body.replace("llo", "llO"),
    (body: string) => body.replace(/signature=./, (text) => text.endsWith("0") ? "signature=1" : "signature=0"),
    (body: string) => body.replaceAll(/;chunk-signature=\w+/g, ""),
  ];
  for (const change of broken) expect(await s3Refusal(await stream(change))).toEqual([403, "SignatureDoesNotMatch"]);
});

/** The body of a signed stream. */
function signedChunks(chunks: readonly string[], key: Uint8Array, signature: Signature): string {
  const { day, region, time } = signature;
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");
  let previous = signature.signature;
  return chunks.map((chunk) => {
    const scope = `${day}/${region}/s3/aws4_request`;
    const toSign = ["AWS4-HMAC-SHA256-PAYLOAD", time, scope, previous, hash(""), hash(chunk)].join("\n");
    previous = createHmac("sha256", key).update(toSign).digest("hex");
    return `${chunk.length.toString(16)};chunk-signature=${previous}\r\n${chunk}\r\n`;
  }).join("");
}

test("an address is slowed down when too many of its signatures were wrong", async () => {
  const limited = s3Server({ tokens });
  const wrong = { ...all, secretAccessKey: "wrong" };
  const codes = [];
  for (let i = 0; i <= MAX_FAILURES; i++) codes.push((await s3Refusal(await limited.signed(wrong, "/s3/b/k")))[1]);
  expect(codes).toEqual([...Array.from({ length: MAX_FAILURES }, () => "SignatureDoesNotMatch"), "SlowDown"]);
  expect((await limited.signed(all, "/s3/b/k", put("x"))).status).toBe(200);
  await limited.stop();
});

test("a key pair for any tenant takes the one that is signed, and its default without one", async () => {
  const headers = { "vitrine-tenant": "other" };
  expect((await signed(any, "/s3/b/of-other", put("x", { headers }))).status).toBe(200);
  expect((await signed(other, "/s3/b/of-other")).status).toBe(200);
  expect((await signed(any, "/s3/b/of-other", { method: "HEAD" })).status).toBe(404);
});

test("signatures mean nothing when the server has no tokens", async () => {
  const open = s3Server();
  expect((await open.signed(testPair("anybody"), "/s3/b/k", put("x"))).status).toBe(200);
  expect(await (await open.fetch("/s3/b/k")).text()).toBe("x");
  await open.stop();
});
