import { expect, test } from "bun:test";
import { redactUrl } from "../../../src/config/value_format.ts";
import { checkTiers } from "../../../src/l2/mod.ts";
import { s3Settings, urlOf } from "../../../src/l2/s3/settings.ts";
import { TierUrl } from "../../../src/l2/url.ts";

function read(text: string, env: Readonly<Record<string, string>> = {}) {
  const url = new TierUrl(text);
  const settings = s3Settings(url, env);
  url.finish();
  return settings;
}

test("s3Settings has defaults for all but the bucket", () => {
  expect(read("s3://bucket")).toEqual({
    bucket: "bucket",
    prefix: "vitrine",
    endpoint: "https://s3.us-east-1.amazonaws.com",
    region: "us-east-1",
    pathStyle: false,
    usageMs: 3_600_000,
    maxAgeMs: 60_000,
  });
});

test("s3Settings takes coherence as a time, or off", () => {
  expect(read("s3://bucket?coherence=1s").maxAgeMs).toBe(1000);
  expect(read("s3://bucket?coherence=2h").maxAgeMs).toBe(7_200_000);
  expect(read("s3://bucket?coherence=off").maxAgeMs).toBeUndefined();
});

test("s3Settings reads prefix, endpoint, region, style and period, and takes what is missing from the environment", () => {
  const url = "s3://b.c/a/b-c_d.e/?endpoint=http%3A%2F%2Fh:9000/base/&region=eu-west-3&path_style=off&usage=15m";
  expect(read(url)).toEqual({
    bucket: "b.c",
    prefix: "a/b-c_d.e",
    endpoint: "http://h:9000/base",
    region: "eu-west-3",
    pathStyle: false,
    usageMs: 900_000,
    maxAgeMs: 60_000,
  });
  expect(read("s3://bucket", { AWS_REGION: "a-1", AWS_DEFAULT_REGION: "b-1" }).endpoint).toBe(
    "https://s3.a-1.amazonaws.com",
  );
  expect(read("s3://bucket", { AWS_DEFAULT_REGION: "b-1" }).region).toBe("b-1");
  const env = { AWS_ENDPOINT_URL_S3: "http://one", AWS_ENDPOINT_URL: "http://two" };
  expect(read("s3://bucket", env)).toMatchObject({ endpoint: "http://one", pathStyle: true });
  expect(read("s3://bucket?endpoint=https://three", env).endpoint).toBe("https://three");
  expect(read("s3://with.dots").pathStyle).toBe(true);
});

test("urlOf puts the bucket where the style wants it, and escapes names", () => {
  const name = "p/-/a~2F=3Ab";
  expect(urlOf(read("s3://bucket?endpoint=http://h:1/base"), name).href).toBe("http://h:1/base/bucket/p/-/a~2F%3D3Ab");
  expect(urlOf(read("s3://bucket?endpoint=http://h:1/base"), "").href).toBe("http://h:1/base/bucket");
  expect(urlOf(read("s3://bucket"), name).href).toBe("https://bucket.s3.us-east-1.amazonaws.com/p/-/a~2F%3D3Ab");
});

for (
  const [url, named] of [
    ["s3://", "s3://bucket/prefix"],
    ["s3://Bucket", "s3://bucket/prefix"],
    ["s3://key:hunter2@bucket", "not from the URL"],
    ["s3://bucket/a//b", "prefix must be"],
    ["s3://bucket/a/../b", "prefix must be"],
    ["s3://bucket/a%20b", "prefix must be"],
    [`s3://bucket/${"a".repeat(201)}`, "prefix must be"],
    ["s3://bucket?endpoint=h:9000", "endpoint must look like"],
    ["s3://bucket?endpoint=http://u:hunter2@h", "without user"],
    ["s3://bucket?endpoint=http://h?x", "without user"],
    ["s3://bucket?region=Bad%20One", "region must be"],
    ["s3://bucket?path_style=yes", "path_style must be on or off"],
    ["s3://bucket?usage=1s", "usage must be"],
    ["s3://bucket?usage=0m", "usage must be"],
    ["s3://bucket?coherence=0s", "coherence must be off, or a time like 10s or 5m: 0s"],
    ["s3://bucket?coherence=on", "coherence must be off, or a time like 10s or 5m: on"],
    ["s3://bucket?max=1GiB", "lifecycle rule"],
    ["s3://bucket?secret_key=hunter2", "unknown parameter: secret_key"],
  ] as const
) {
  test(`checkTiers refuses ${url.slice(0, 60)} and says why, without a secret`, () => {
    expect(() => checkTiers([url], 2)).toThrow(named);
    expect(() => checkTiers([url], 2)).toThrow(/^(?!.*hunter2)/);
    expect(redactUrl(url.replace("http://u:hunter2@h", ""))).not.toContain("hunter2");
  });
}

test("s3Settings takes a prefix of 200 characters and a period of one minute", () => {
  expect(read(`s3://bucket/${"a".repeat(200)}?usage=1m`)).toMatchObject({ prefix: "a".repeat(200), usageMs: 60_000 });
});

test("checkTiers refuses one prefix of a bucket twice, and takes two of them", () => {
  const same = ["s3://bucket?region=eu-west-1", "s3://bucket/vitrine/?region=eu-west-1&name=other"];
  expect(() => checkTiers(same, 2)).toThrow("the same tier twice");
  checkTiers(["s3://bucket", "s3://bucket/b?name=b", "s3://bucket?name=c&endpoint=http://h"], 2);
});
