import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

const LOGROTATE = "/usr/sbin/logrotate";
const ROTATIONS = 3;
const REQUESTS = 50;

/** logrotate renames the request log while requests flow, and the server opens it again: no line is lost or torn. */
export const logrotate: HostileCase = {
  name: "logrotate",
  async run({ checks, folder, runtime }) {
    if (!existsSync(LOGROTATE)) execFileSync("apt-get", ["install", "-y", "-qq", "logrotate"], { stdio: "ignore" });
    // logrotate refuses folders that others can write to.
    chmodSync(folder, 0o700);
    const path = `${folder}/requests.jsonl`;
    const server = await ServerProcess.start({ runtime, flags: { workers: "2", l2: "none", "request-log": path } });
    const settings = `${folder}/logrotate.conf`;
    writeFileSync(
      settings,
      `"${path}" {\n rotate 9\n nocompress\n postrotate\n  kill -USR2 ${server.pid}\n endscript\n}\n`,
    );
    const lines = () =>
      readdirSync(folder).filter((name) => name.startsWith("requests.jsonl"))
        .flatMap((name) => readFileSync(`${folder}/${name}`, "utf8").split("\n").slice(0, -1));
    const url = `http://127.0.0.1:${server.address.port}/v1/objects/a`;
    for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
      await Promise.all(Array.from({ length: REQUESTS }, async () => await (await fetch(url)).arrayBuffer()));
      // A file without a line is not worth a rotation, and the lines are written a moment after the requests.
      await until(async () => await Promise.resolve(lines()), (found) => found.length > REQUESTS * (rotation - 1), {
        timeoutMs: 10_000,
      });
      execFileSync(LOGROTATE, ["--force", "--state", `${folder}/state`, settings]);
      await until(async () => await Promise.resolve(existsSync(`${path}.${rotation}`)), (exists) => exists, {
        timeoutMs: 10_000,
      });
    }
    await Promise.all(Array.from({ length: REQUESTS }, async () => await (await fetch(url)).arrayBuffer()));
    checks.equal("the server stops", { actual: await server.stop(), expected: 0 });
    const found = lines();
    checks.equal("lines in all files", { actual: found.length, expected: REQUESTS * (ROTATIONS + 1) });
    const torn = found.filter((line) => !line.startsWith("{") || !line.endsWith("}"));
    checks.equal("torn lines", { actual: torn, expected: [] });
    checks.that("the last lines are in a new file", readFileSync(path, "utf8").split("\n").length > 1);
  },
};
