import { readdirSync, readFileSync } from "node:fs";
import { RawSocket } from "../../http/raw_socket.ts";
import { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

const limit = 256;
const strangers = 400;
const keys = Array.from({ length: 8 }, (_, i) => `o${i}`);

/** The number of descriptors that the process has open. */
const openDescriptors = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** Reads every object on a new connection; the keys that did not come, in at most 20 s. */
async function unread(server: ServerProcess): Promise<readonly string[]> {
  const missing = [];
  for (const key of keys) {
    const read = async () => {
      const client = new Client(server.address, new Ledger());
      const status = await client.request({ method: "GET", path: objectPath(key) }).then(
        (answer) => answer.status,
        () => 0,
      );
      client.close();
      return status;
    };
    if (await until(read, (status) => status === 200, { timeoutMs: 20_000 }) !== 200) missing.push(key);
  }
  return missing;
}

/** More connections than descriptors, half of them with half a head, none of which ever says more. */
async function run({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const server = await ServerProcess.start({
    runtime,
    prefix: ["prlimit", `--nofile=${limit}:${limit}`],
    flags: { l2: `file://${folder}/data`, "l1-size": "4MiB", workers: "2", "idle-timeout": "8s" },
  });
  const writer = new Client(server.address, new Ledger());
  for (const key of keys) {
    const body = new Uint8Array(2 * 1024 * 1024);
    await writer.request({ method: "PUT", path: objectPath(key), body, headers: { "vitrine-durability": "l2" } });
  }
  writer.close();
  const before = openDescriptors(server.pid);
  const sockets = Array.from(
    { length: strangers },
    (_, i) => new RawSocket(server.address.port).write(i % 2 ? "GET / HT" : ""),
  );
  checks.equal("objects of the file tier are read while strangers hold every connection there is", {
    actual: await unread(server),
    expected: [],
  });
  await Promise.all(sockets.map((socket) => socket.closed()));
  const after = await until(() => Promise.resolve(openDescriptors(server.pid)), (count) => count <= before + 8, {
    timeoutMs: 20_000,
  });
  checks.that("connections that say nothing are closed", after <= before + 8, () => `${before} before, ${after} after`);
  checks.that("no worker is replaced", !server.output.includes("a worker is gone"), () => server.output);
  checks.that(
    "the start line says how many connections fit",
    /connections=(?:\d+|\?)/.test(server.output),
    () => server.output,
  );
  const limits = readFileSync(`/proc/${server.pid}/limits`, "utf8");
  checks.that(
    "the limit was the one that was meant",
    new RegExp(`Max open files +${limit} `).test(limits),
    () => limits,
  );
  checks.equal("the server stops gracefully", { actual: await server.stop(), expected: 0 });
}

/** Descriptors run out, and connections stay idle. */
export const descriptors: HostileCase = { name: "descriptors", run };
