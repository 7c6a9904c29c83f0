/**
 * Real S3 clients, each doing what its user does, over a server with key pairs: boto3, the AWS SDK for JavaScript,
 * Bun's own, rclone, s3cmd. `bun run e2e:s3 [--runtime bun|deno] [--only boto3|awsSdk|bunS3|rclone|s3cmd]`
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { newSalt, secretOf } from "../../src/access/token_set.ts";
import { formatToken } from "../../src/access/tokens.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { ServerProcess } from "./support/server_process.ts";
import { run, type RunOptions } from "./tools/run.ts";
import { besideAwsSdk, pythonClients, rcloneProgram } from "./tools/s3_clients.ts";

const MIB = 1024 * 1024;
const SERVER_KEY = "a key of a server in tests, of more than 32 characters";
const CLIENTS = "test/e2e/s3/clients";

/** A server and the credentials of its one client. */
interface Target {
  readonly folder: string;
  readonly port: number;
  readonly id: string;
  readonly secret: string;
}

/** Runs a script that ends with 0 if all went as with S3. */
function runScript(command: string, path: string, { folder, port, id, secret }: Target): void {
  const env = { S3_ENDPOINT: `http://127.0.0.1:${port}/s3`, S3_ID: id, S3_SECRET: secret };
  const printed = run(command, [path], { cwd: folder, env });
  if (printed.trim() !== "ok") throw new Error(`run ${path}: ${printed}`);
}

/** A folder with files of several sizes and an odd name. */
function makeFiles(folder: string): string {
  const files = join(folder, "files");
  mkdirSync(join(files, "dir"), { recursive: true });
  writeFileSync(join(files, "large"), randomBytes(12 * MIB));
  writeFileSync(join(files, "dir", "a b&c+é.txt"), "hello");
  writeFileSync(join(files, "empty"), "");
  return files;
}

function same(found: string, wanted: string): void {
  if (found !== wanted) throw new Error(`found ${found} instead of ${wanted}`);
}

const clients: Readonly<Record<string, (target: Target) => void>> = {
  boto3: (target) => runScript(join(pythonClients(), "python"), resolve(CLIENTS, "boto3_client.py"), target),
  awsSdk: (target) => runScript("node", besideAwsSdk(`${CLIENTS}/aws_sdk.mjs`), target),
  bunS3: (target) => runScript("bun", resolve(CLIENTS, "bun_s3.ts"), target),
  rclone({ folder, port, id, secret }) {
    const options: RunOptions = {
      env: {
        RCLONE_CONFIG: join(folder, "none"),
        RCLONE_CONFIG_V_TYPE: "s3",
        RCLONE_CONFIG_V_PROVIDER: "Other",
        RCLONE_CONFIG_V_ENDPOINT: `http://127.0.0.1:${port}/s3`,
        RCLONE_CONFIG_V_ACCESS_KEY_ID: id,
        RCLONE_CONFIG_V_SECRET_ACCESS_KEY: secret,
        RCLONE_S3_CHUNK_SIZE: "5Mi",
        RCLONE_S3_UPLOAD_CUTOFF: "5Mi",
        RCLONE_RETRIES: "1",
      },
    };
    // rclone 1.60 does not start where AWS_CA_BUNDLE is set.
    const rclone = (...args: readonly string[]) =>
      run("env", ["-u", "AWS_CA_BUNDLE", rcloneProgram(), ...args], options);
    const files = makeFiles(folder);
    rclone("mkdir", "v:rclone-bucket");
    rclone("copy", files, "v:rclone-bucket/p");
    rclone("check", "--download", files, "v:rclone-bucket/p");
    // It keeps times in metadata: nothing is to be copied again.
    same(rclone("sync", "--dry-run", "--use-json-log", files, "v:rclone-bucket/p"), "");
    same(
      rclone("lsf", "-R", "--files-only", "v:rclone-bucket").split("\n").toSorted().join(" "),
      [
        "",
        "p/dir/a b&c+é.txt",
        "p/empty",
        "p/large",
      ].join(" "),
    );
    same(rclone("cat", "--offset", "1", "--count", "3", "v:rclone-bucket/p/dir/a b&c+é.txt"), "ell");
    rclone("copyto", "v:rclone-bucket/p/large", "v:rclone-bucket/q/large");
    rclone("check", "--download", "v:rclone-bucket/q", "v:rclone-bucket/p", "--one-way");
    rclone("purge", "v:rclone-bucket");
    same(rclone("lsf", "v:"), "");
  },
  s3cmd({ folder, port, id, secret }) {
    const flags = ["--config=/dev/null", "--no-ssl", "--no-progress", `--access_key=${id}`, `--secret_key=${secret}`];
    // It cannot have a path in front of the bucket, so it uses the host that speaks S3 at its root.
    const host = [`--host=localhost:${port}`, `--host-bucket=localhost:${port}`];
    const python = join(pythonClients(), "python");
    const program = join(pythonClients(), "s3cmd");
    const s3cmd = (...args: readonly string[]) => run(python, [program, ...flags, ...host, ...args]);
    const files = makeFiles(folder);
    s3cmd("mb", "s3://s3cmd-bucket");
    s3cmd("put", "--multipart-chunk-size-mb=5", join(files, "large"), "s3://s3cmd-bucket/large");
    s3cmd("sync", `${files}/`, "s3://s3cmd-bucket/p/");
    same(s3cmd("sync", `${files}/`, "s3://s3cmd-bucket/p/").includes("upload:") ? "again" : "", "");
    s3cmd("get", "--force", "s3://s3cmd-bucket/large", join(folder, "large"));
    same(String(Buffer.compare(readFileSync(join(folder, "large")), readFileSync(join(files, "large")))), "0");
    s3cmd("cp", "s3://s3cmd-bucket/large", "s3://s3cmd-bucket/copy");
    s3cmd("del", "--recursive", "--force", "s3://s3cmd-bucket");
    s3cmd("rb", "s3://s3cmd-bucket");
    same(s3cmd("ls"), "");
  },
};

const options = suiteOptions({}, { only: Object.keys(clients) });

await runSuite("s3", options, async ({ runtime, folder, checks }: SuiteRun) => {
  const salt = newSalt();
  const rights = { tenant: "", any_tenant: false, prefix: "" };
  const tokens = formatToken({ id: "tester", s3: salt, scopes: ["read", "write", "delete"], ...rights });
  for (const [name, client] of Object.entries(clients)) {
    if (options.only !== "" && options.only !== name) continue;
    const own = join(folder, name);
    mkdirSync(own);
    const l2 = `file://${join(own, "tier")}`;
    const flags = { workers: "2", "l1-size": "256MiB", l2, tokens, "s3-key": SERVER_KEY, "s3-hosts": "localhost" };
    const server = await ServerProcess.start({ runtime, flags });
    const startMs = performance.now();
    let failure = "";
    try {
      client({ folder: own, port: server.address.port, id: "tester", secret: secretOf(SERVER_KEY, "tester", salt) });
    } catch (error) {
      failure = String(error);
    }
    checks.that(`${name} does what it does with S3`, failure === "", () => `${failure}\n${server.output}`);
    checks.equal(`the server stops after ${name}`, { actual: await server.stop(), expected: 0 });
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
