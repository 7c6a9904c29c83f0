// @ts-nocheck: its packages are installed outside the tree.
// What a user of the AWS SDK for JavaScript does. Ends with 0 if all of it went as with S3.
// Environment: S3_ENDPOINT, S3_ID, S3_SECRET.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import process from "node:process";
import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = "aws-sdk-bucket";
const MIB = 1024 * 1024;
const s3 = new S3Client({
  endpoint: process.env.S3_ENDPOINT,
  region: "us-east-1",
  forcePathStyle: true,
  credentials: { accessKeyId: process.env.S3_ID, secretAccessKey: process.env.S3_SECRET },
});
const bytesOf = async ({ Body }) => Buffer.from(await Body.transformToByteArray());

await s3.send(new CreateBucketCommand({ Bucket }));
const Key = "dir/a b+c@é&<1>'().txt";
const body = Buffer.from("hello ".repeat(1000));
const put = await s3.send(
  new PutObjectCommand({ Bucket, Key, Body: body, ContentType: "text/plain", Metadata: { colour: "red" } }),
);
assert.equal(put.ETag, `"${createHash("md5").update(body).digest("hex")}"`);
const got = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
assert.deepEqual([got.ContentType, got.Metadata], ["text/plain", { colour: "red" }]);
assert.deepEqual(await bytesOf(got), body);
const part = await s3.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=1-5" }));
assert.deepEqual(await bytesOf(part), body.subarray(1, 6));

// A stream of known length comes as aws-chunked, with its checksum in the trailer.
for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  const large = randomBytes(2 * MIB);
  const Body = Readable.from([large.subarray(0, MIB), large.subarray(MIB)]);
  await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: large.length, ChecksumAlgorithm }));
  const read = await s3.send(new GetObjectCommand({ Bucket, Key: "stream", ChecksumMode: "ENABLED" }));
  assert.equal(read.ContentEncoding, undefined);
  assert.ok(read[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm);
  assert.equal(Buffer.compare(await bytesOf(read), large), 0);
}

const whole = randomBytes(17 * MIB);
await new Upload({ client: s3, params: { Bucket, Key: "whole", Body: whole }, partSize: 5 * MIB, queueSize: 4 }).done();
const { ETag } = await s3.send(new HeadObjectCommand({ Bucket, Key: "whole" }));
assert.match(ETag, /^"[0-9a-f]{32}-4"$/);
assert.equal(Buffer.compare(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "whole" }))), whole), 0);

const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource }));
await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: "absent" })), { name: "NoSuchKey" });
await assert.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: "absent" })), { name: "NotFound" });

const keys = [];
for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket })) {
  keys.push(...(page.Contents ?? []).map((each) => each.Key));
}
assert.deepEqual(keys, ["copy", Key, "stream", "whole"]);

const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }), { expiresIn: 60 });
assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), body);
const putUrl = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "by-url" }), { expiresIn: 60 });
assert.equal((await fetch(putUrl, { method: "PUT", body: "by url" })).status, 200);

const Objects = [...keys, "by-url"].map((each) => ({ Key: each }));
const deleted = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
assert.equal(deleted.Deleted.length, 5);
console.log("ok");
