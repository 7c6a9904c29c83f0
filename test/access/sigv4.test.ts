import { expect, test } from "bun:test";
import {
  ChunkSignatures,
  isSigned,
  parsePresigned,
  parseSignature,
  type Signature,
  signingKeyOf,
} from "../../src/access/sigv4.ts";
// "Signature Calculations for the Authorization Header" and "…: Using Query Parameters" in the Amazon S3 API Reference.
const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
const TIME = "20130524T000000Z";
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const HOST = "examplebucket.s3.amazonaws.com";

function signed(
  method: string,
  target: string,
  fields: Readonly<Record<string, string>>,
  { names, signature, payload = EMPTY }: {
    readonly names: string;
    readonly signature: string;
    readonly payload?: string;
  },
): boolean {
  const headers = new Headers({ host: HOST, "x-amz-date": TIME, "x-amz-content-sha256": payload, ...fields });
  const authorization = `AWS4-HMAC-SHA256 Credential=${SCOPE},SignedHeaders=${names},Signature=${signature}`;
  const parsed = parseSignature(authorization, headers.get("x-amz-date"));
  if (parsed === undefined) throw new Error("parse signature");
  return isSigned({ method, target, headers, payload }, parsed, signingKeyOf(SECRET, parsed));
}

const examples: Readonly<Record<string, () => boolean>> = {
  "GET object": () =>
    signed("GET", "/test.txt", { range: "bytes=0-9" }, {
      names: "host;range;x-amz-content-sha256;x-amz-date",
      signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    }),
  "PUT object": () =>
    signed("PUT", "/test$file.text", {
      date: "Fri, 24 May 2013 00:00:00 GMT",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }, {
      names: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
      signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
      payload: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
    }),
  "GET lifecycle": () =>
    signed("GET", "/?lifecycle", {}, {
      names: "host;x-amz-content-sha256;x-amz-date",
      signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    }),
  "list objects": () =>
    signed("GET", "/?prefix=J&max-keys=2", {}, {
      names: "host;x-amz-content-sha256;x-amz-date",
      signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    }),
};

for (const [name, check] of Object.entries(examples)) {
  test(`isSigned takes Amazon's example signature when the request is "${name}"`, () => expect(check()).toBe(true));
}

test("isSigned takes Amazon's example when the signature is in a presigned URL", () => {
  const query = new URLSearchParams({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": SCOPE,
    "X-Amz-Date": TIME,
    "X-Amz-Expires": "86400",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  });
  const parsed = parsePresigned(query);
  if (parsed === undefined) throw new Error("parse presigned URL");
  expect([parsed.validSeconds, parsed.signedHeaders]).toEqual([86_400, ["host"]]);
  const request = {
    method: "GET",
    target: `/test.txt?${query}`,
    headers: new Headers({ host: HOST }),
    payload: "UNSIGNED-PAYLOAD",
  };
  const key = signingKeyOf(SECRET, parsed);
  expect(isSigned(request, parsed, key)).toBe(true);
  const others = [{ method: "PUT" }, { target: request.target.replace("86400", "86401") }, { payload: EMPTY }, {
    headers: new Headers({ host: "other" }),
  }];
  expect(others.map((other) => isSigned({ ...request, ...other }, parsed, key))).toEqual([false, false, false, false]);
});

// "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
const chunked: Signature = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  day: "20130524",
  region: "us-east-1",
  signedHeaders: [],
  signature: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
  time: TIME,
  validSeconds: undefined,
};
const CHUNKS = [
  "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
  "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
  "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
] as const;

test("ChunkSignatures takes Amazon's example when its chunks are complete, and none when a byte differs", () => {
  const chunks = [new Uint8Array(65_536).fill(97), new Uint8Array(1024).fill(97), new Uint8Array(0)];
  const check = (first: number) => {
    const signatures = new ChunkSignatures(signingKeyOf(SECRET, chunked), chunked);
    return chunks.map((chunk, index) => {
      const bytes = chunk.slice();
      if (index === 0) bytes[100] = first;
      signatures.add(bytes.subarray(0, 5));
      signatures.add(bytes.subarray(5));
      return signatures.endChunk(CHUNKS[index] ?? "");
    });
  };
  expect(check(97)).toEqual([true, true, true]);
  expect(check(98)[0]).toBe(false);
});

test("parseSignature gives undefined when a part is missing or malformed", () => {
  const good = `AWS4-HMAC-SHA256 Credential=${SCOPE}, SignedHeaders=host;x-amz-date, Signature=${EMPTY}`;
  expect(parseSignature(good, TIME)).toEqual({
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    day: "20130524",
    region: "us-east-1",
    signedHeaders: ["host", "x-amz-date"],
    signature: EMPTY,
    time: TIME,
    validSeconds: undefined,
  });
  const bad = [
    good.replace("s3/aws4", "ec2/aws4"),
    good.replace("20130524", "2013"),
    good.replace(EMPTY, EMPTY.slice(1)),
    good.replace("host;x-amz-date", "Host"),
    good.replace("HMAC", "ECDSA"),
    `${good}, more`,
    "",
  ];
  expect(bad.map((text) => parseSignature(text, TIME)).filter((each) => each !== undefined)).toEqual([]);
  expect([null, "", "20130524", "2013-05-24T00:00:00Z"].map((time) => parseSignature(good, time))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
