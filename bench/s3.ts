/**
 * Reads of 64 MiB from a tier in a bucket through Vitrine, against reads of the same bytes from the S3 server itself,
 * in turns, with curl as the client. `bun bench/s3.ts [--runtime bun|deno] [--rounds N]`
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ServerProcess } from "../test/e2e/support/server_process.ts";
import { s3Keys, S3Server, useS3Keys } from "../test/e2e/tools/s3_server.ts";

const SIZE_BYTES = 64 * 1024 * 1024;
const CLIENTS = [1, 4];

const { values } = parseArgs({
  options: { runtime: { type: "string", default: "both" }, rounds: { type: "string", default: "7" } },
});
const rounds = Number(values.rounds);

/** Reads a URL as so many clients at once; seconds. */
function read(url: string, clients: number, args: readonly string[] = []): number {
  const startMs = performance.now();
  const urls = Array.from({ length: clients }, () => ["--output", "/dev/null", url]).flat();
  const { status, stderr } = spawnSync(
    "curl",
    ["--silent", "--show-error", "--fail", "--max-time", "20", "--parallel", "--parallel-immediate", ...args, ...urls],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`read ${url}: ${stderr}`);
  return (performance.now() - startMs) / 1000;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function megabytes(seconds: number, clients: number): string {
  return `${(clients * SIZE_BYTES / seconds / 1e6).toFixed(0)} MB/s`;
}

useS3Keys();
const folder = mkdtempSync(join(tmpdir(), "vitrine-bench-s3-"));
const store = await S3Server.start(folder);
const { AWS_ACCESS_KEY_ID: user, AWS_SECRET_ACCESS_KEY: secret } = s3Keys;
const signing = [
  "--user",
  `${user}:${secret}`,
  "--aws-sigv4",
  "aws:amz:us-east-1:s3",
  "--header",
  "x-amz-content-sha256: UNSIGNED-PAYLOAD",
];

for (const runtime of ["bun", "deno"] as const) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  // L1 does not admit objects of this size, so that each read goes to the tier.
  const flags = { l2: store.url(runtime), write: "through", workers: "1", "l1-size": "256MiB", "log-level": "error" };
  const server = await ServerProcess.start({ runtime, flags });
  const through = `http://${server.address.host}:${server.address.port}/v1/objects/large`;
  const stored = await fetch(through, { method: "PUT", body: new Uint8Array(SIZE_BYTES).fill(7) });
  if (!stored.ok) throw new Error(`store object: ${stored.status} ${await stored.text()}`);
  const direct = `http://127.0.0.1:${store.port}/vitrine-test/${runtime}/-/large`;
  for (const clients of CLIENTS) {
    const [own, ours]: [number[], number[]] = [[], []];
    for (let round = 0; round <= rounds; round += 1) {
      const seconds = [read(direct, clients, signing), read(through, clients)] as const;
      // The first round warms up.
      if (round === 0) continue;
      own.push(seconds[0]);
      ours.push(seconds[1]);
    }
    const [ownSeconds, ourSeconds] = [median(own), median(ours)];
    console.log(
      `${runtime}, ${clients} client${clients > 1 ? "s" : ""}: ${megabytes(ourSeconds, clients)} through Vitrine, ` +
        `${megabytes(ownSeconds, clients)} from the S3 server itself, ratio ${(ownSeconds / ourSeconds).toFixed(2)}`,
    );
  }
  await server.stop();
}
await store.kill();
rmSync(folder, { recursive: true });
process.exit(0);
