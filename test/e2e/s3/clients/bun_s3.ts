/**
 * What a user of Bun's own S3 client does; runs on Bun. Ends with 0 if all of it went as with S3. Environment:
 * S3_ENDPOINT, S3_ID, S3_SECRET.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import process from "node:process";
import { S3Client } from "bun";

const MIB = 1024 * 1024;
const { S3_ENDPOINT: endpoint = "", S3_ID: accessKeyId = "", S3_SECRET: secretAccessKey = "" } = process.env;
const s3 = new S3Client({ endpoint, accessKeyId, secretAccessKey, bucket: "bun-bucket", region: "us-east-1" });

await s3.write("dir/a b.txt", "hello", { type: "text/plain" });
const file = s3.file("dir/a b.txt");
assert.equal(await file.text(), "hello");
assert.equal(await file.slice(1, 3).text(), "el");
const { size, type } = await file.stat();
assert.deepEqual([size, type], [5, "text/plain;charset=utf-8"]);
assert.equal(await s3.exists("absent"), false);

// In parts.
const whole = randomBytes(12 * MIB);
const writer = s3.file("whole").writer({ partSize: 5 * MIB, queueSize: 2 });
for (let at = 0; at < whole.length; at += MIB) await writer.write(whole.subarray(at, at + MIB));
await writer.end();
assert.equal(Buffer.compare(Buffer.from(await s3.file("whole").arrayBuffer()), whole), 0);

const listed = await s3.list({ prefix: "dir/" });
assert.deepEqual(listed.contents?.map(({ key }) => key), ["dir/a b.txt"]);
assert.equal(await (await fetch(s3.presign("dir/a b.txt", { expiresIn: 60 }))).text(), "hello");
for (const key of ["dir/a b.txt", "whole"]) await s3.delete(key);
assert.equal(await s3.exists("whole"), false);
console.log("ok");
