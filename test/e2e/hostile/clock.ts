import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const HOUR_SECONDS = 3600;
const TTL = { "cache-control": "max-age=600" };

/** An answer without its body. */
interface Seen {
  readonly status: number;
  readonly age: number;
  /** The version in the entity tag. */
  readonly version: number;
}

/**
 * Wall time that is set an hour forward, two back and one forward again under a server, by libfaketime, which leaves
 * the monotonic clock alone: as NTP, an administrator, or a laptop that wakes up does.
 */
export const clock: HostileCase = {
  name: "clock",
  async run(run) {
    if (!existsSync(FAKETIME)) execFileSync("apt-get", ["install", "-y", "-qq", "faketime"], { stdio: "ignore" });
    const offsetFile = `${run.folder}/offset`;
    const step = (seconds: number) => writeFileSync(offsetFile, `${seconds < 0 ? "" : "+"}${seconds}`);
    step(0);
    const server = await ServerProcess.start({
      runtime: run.runtime,
      flags: { workers: "2", "l1-size": "32MiB", l2: `file://${run.folder}/tier` },
      prefix: [
        "env",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        `FAKETIME_TIMESTAMP_FILE=${offsetFile}`,
        `LD_PRELOAD=${FAKETIME}`,
      ],
    });
    try {
      await attack(run, server, step);
    } finally {
      run.checks.equal("the server stops", { actual: await server.stop(), expected: 0 });
    }
  },
};

async function attack({ checks }: SuiteRun, server: ServerProcess, step: (seconds: number) => void): Promise<void> {
  const base = `http://127.0.0.1:${server.address.port}`;
  const url = (key: string) => `${base}/v1/objects/${key}`;
  const put = async (key: string, headers: Readonly<Record<string, string>> = {}) => {
    const { status } = await fetch(url(key), { method: "PUT", body: `bytes of ${key}`, headers });
    checks.that(`PUT ${key} is taken`, status === 201 || status === 200, () => `: ${status}`);
  };
  const get = async (key: string): Promise<Seen> => {
    const response = await fetch(url(key));
    await response.arrayBuffer();
    const version = parseInt(response.headers.get("etag")?.slice(1, -1).split("-")[1] ?? "", 36);
    return { status: response.status, age: Number(response.headers.get("age")), version };
  };
  /** Asks until it is so: a worker sees a step within a millisecond. */
  const is = async (
    what: string,
    key: string,
    expected: { readonly status: number; readonly ages?: readonly [number, number] },
  ) => {
    const [least, most] = expected.ages ?? [0, Infinity];
    const holds = ({ status, age }: Seen) =>
      status === expected.status && (status !== 200 || (age >= least && age <= most));
    const seen = await until(() => get(key), holds, { timeoutMs: 500, everyMs: 5 });
    checks.that(what, holds(seen), () => `: status ${seen.status}, Age ${seen.age}`);
  };
  const slow = slowUpload(url("slow"));

  await put("short", TTL);
  await put("forever");
  await is("an object is young at first", "short", { status: 200, ages: [0, 60] });

  step(HOUR_SECONDS);
  await is("an object of ten minutes is gone an hour later", "short", { status: 404 });
  const old = await get("forever");
  await is("Age is an hour an hour later", "forever", { status: 200, ages: [HOUR_SECONDS - 1, HOUR_SECONDS + 60] });
  slow.finish();
  checks.equal("an upload that was under way is taken after a step forward", {
    actual: await slow.status,
    expected: 201,
  });
  await put("later", TTL);
  await is("an object is young after a step forward", "later", { status: 200, ages: [0, 60] });

  step(-HOUR_SECONDS);
  await is("Age is 0 for what was made in the future", "forever", { status: 200, ages: [0, 0] });
  await is("an object that has expired does not come back", "short", { status: 404 });
  await put("earlier", TTL);
  await is("an object is young after a step back", "earlier", { status: 200, ages: [0, 60] });
  await put("forever");
  const renewed = await get("forever");
  checks.that("versions grow while wall time goes back", renewed.version > old.version, () => `: ${renewed.version}`);

  step(0);
  await is("an object of ten minutes is gone when the clock is right again", "earlier", { status: 404 });
  await numbersAreSane(server, checks);
}

/**
 * Durations, lags and ages of what is in memory are those of the few seconds that the case takes; no worker was taken
 * for dead.
 */
async function numbersAreSane(server: ServerProcess, checks: SuiteRun["checks"]): Promise<void> {
  const admin = `http://127.0.0.1:${server.adminAddress.port}`;
  const readMetrics = async () => await (await fetch(`${admin}/metrics`)).text();
  const text = await until(readMetrics, (metrics) => metrics.includes("http_server_request_duration_seconds_sum"), {
    timeoutMs: 5000,
  });
  const sums = [...text.matchAll(/^(\S+_seconds(?:_sum)?)\{\S*\} (\S+)$/gm)].map(([, name = "", value]) =>
    [name, Number(value)] as const
  );
  const strange = sums.filter(([name, seconds]) =>
    !/start_time|oldest_entry_age/.test(name) && !(seconds >= 0 && seconds < 1000)
  );
  checks.that("seconds are measured", sums.length > 10);
  checks.equal("no duration is negative or an hour", { actual: strange, expected: [] });
  const status = await (await fetch(`${admin}/status`)).text();
  checks.that("no worker was replaced", status.includes('"worker_restarts":0'), () => status);
  checks.that("no lease ran out", !server.output.includes("leases expired"), () => server.output);
}

/** A PUT whose body ends when it is told to. */
function slowUpload(url: string): { readonly status: Promise<number>; finish(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(new Uint8Array(1000));
      await promise;
      controller.enqueue(new Uint8Array(1000));
      controller.close();
    },
  });
  const status = fetch(url, { method: "PUT", body }).then((response) => response.status);
  return { status, finish: resolve };
}
