import { ok } from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import type { SuiteRun } from "../support/run_suite.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { missing, putMany, ServerGroup } from "./stops/server_group.ts";

/**
 * Signals, with milliseconds of pause before each, to the whole process group of a task runner, as terminals and
 * service managers send them.
 */
const bursts: readonly (readonly [string, readonly (readonly [pauseMs: number, signal: NodeJS.Signals])[]])[] = [
  ["one SIGINT", [[0, "SIGINT"]]],
  ["three SIGINT at once", [[0, "SIGINT"], [0, "SIGINT"], [0, "SIGINT"]]],
  ["SIGINT 300 ms apart", [[0, "SIGINT"], [300, "SIGINT"], [300, "SIGINT"]]],
  ["SIGTERM and SIGINT together", [[0, "SIGTERM"], [0, "SIGINT"]]],
  ["SIGHUP", [[0, "SIGHUP"]]],
  ["SIGQUIT", [[0, "SIGQUIT"]]],
];

/**
 * Every way in which a person, a terminal or a service manager ends a process: what was acknowledged is there
 * afterwards, and exit code and line tell what was done.
 */
export const stops: HostileCase = {
  name: "stops",
  async run(run) {
    for (const [name, signals] of bursts) await groupSignals(run, name, signals);
    await closedOutput(run);
    await lastPush(run);
    await slowClients(run);
    await forced(run);
    await duringStart(run);
  },
};

async function groupSignals(
  run: SuiteRun,
  name: string,
  signals: readonly (readonly [number, NodeJS.Signals])[],
): Promise<void> {
  const folder = `${run.folder}/${name.replaceAll(" ", "_")}`;
  const server = await ServerGroup.start({ ...run, folder, by: "task", flags: { "store-concurrency": "1" } });
  const keys = await putMany(server.address, 100, 200_000);
  const code = await server.signal(signals);
  run.checks.equal(`${name}: exit code`, { actual: code, expected: 0 });
  run.checks.that(
    `${name}: one line tells what was done`,
    server.output.split("vitrine: stopped in ").length === 2,
    () => server.output,
  );
  run.checks.equal(`${name}: objects lost`, { actual: await missing(run, folder, keys), expected: [] });
}

/** Nobody reads what the server prints any more, as after `| head -1`, or when a terminal has gone. */
async function closedOutput(run: SuiteRun): Promise<void> {
  const folder = `${run.folder}/closed_output`;
  const flags = { "log-level": "debug" };
  const server = await ServerGroup.start({ ...run, folder, by: "program", flags });
  server.closeOutput();
  const keys = await putMany(server.address, 50, 1000);
  const code = await server.signal([[0, "SIGHUP"]]);
  run.checks.equal("closed output: exit code", { actual: code, expected: 0 });
  run.checks.equal("closed output: objects lost", { actual: await missing(run, folder, keys), expected: [] });
}

/** With intervals of a minute nothing is pushed before the stop. */
async function lastPush(run: SuiteRun): Promise<void> {
  for (const kind of ["answers", "hangs", "refuses"] as const) {
    const paths: string[] = [];
    const collector = createServer((request, response) => {
      request.resume().once("end", () => {
        paths.push(request.url ?? "");
        if (kind !== "hangs") response.writeHead(kind === "answers" ? 200 : 400).end();
      });
    }).listen(0, "127.0.0.1");
    await once(collector, "listening");
    const address = collector.address();
    ok(typeof address === "object" && address !== null);
    const minute = "60000";
    const server = await ServerGroup.start({
      ...run,
      folder: `${run.folder}/push_${kind}`,
      by: "program",
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${address.port}`,
        OTEL_METRIC_EXPORT_INTERVAL: minute,
        OTEL_BLRP_SCHEDULE_DELAY: minute,
        OTEL_BSP_SCHEDULE_DELAY: minute,
      },
    });
    await putMany(server.address, 3, 1000);
    const early = [...paths];
    const code = await server.signal([[0, "SIGTERM"]]);
    run.checks.equal(`collector that ${kind}: what came before the stop`, { actual: early, expected: [] });
    const signals = ["/v1/logs", "/v1/metrics", "/v1/traces"];
    run.checks.equal(`collector that ${kind}: the last push`, { actual: paths.toSorted(), expected: signals });
    run.checks.equal(`collector that ${kind}: exit code`, { actual: code, expected: kind === "answers" ? 0 : 3 });
    const told = kind === "answers" ? "telemetry pushed" : "last push of metrics, logs, traces failed";
    run.checks.that(`collector that ${kind}: the line tells`, server.output.includes(told), () => server.output);
    collector.closeAllConnections();
    collector.close();
  }
}

/**
 * A reader that does not read and an upload that does not go on hold a stop for two thirds of its time, and cost nobody
 * else anything.
 */
async function slowClients(run: SuiteRun): Promise<void> {
  const folder = `${run.folder}/slow_clients`;
  const server = await ServerGroup.start({ ...run, folder, by: "program", flags: { "shutdown-timeout": "3s" } });
  const keys = await putMany(server.address, 20, 200_000);
  const [large = ""] = await putMany(server.address, 1, 24 * 1024 * 1024, "large");
  const download = await send(server.address.port, `GET /v1/objects/${large} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const upload = await send(
    server.address.port,
    "PUT /v1/objects/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc",
  );
  await until(() => server.activeRequests(), (count) => count >= 2, { timeoutMs: 5000 });
  const code = await server.signal([[0, "SIGTERM"]]);
  for (const socket of [download, upload]) socket.destroy();
  run.checks.equal("slow clients: exit code", { actual: code, expected: 3 });
  run.checks.that(
    "slow clients: the line tells",
    server.output.includes("2 requests broken off"),
    () => server.output,
  );
  const lost = await missing(run, folder, [...keys, large]);
  run.checks.equal("slow clients: objects lost", { actual: lost, expected: [] });
}

/** Ctrl-C again after five seconds ends a stop that a client holds; at once it does not. */
async function forced(run: SuiteRun): Promise<void> {
  const folder = `${run.folder}/forced`;
  const server = await ServerGroup.start({ ...run, folder, by: "task" });
  const upload = await send(
    server.address.port,
    "PUT /v1/objects/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc",
  );
  await until(() => server.activeRequests(), (count) => count >= 1, { timeoutMs: 5000 });
  const ending = server.signal([[0, "SIGINT"], [0, "SIGINT"], [1500, "SIGINT"]]);
  const told = await until(() => Promise.resolve(server.output), (text) => text.includes("still stopping"), {
    timeoutMs: 20_000,
  });
  run.checks.that(
    "forced stop: copies have not ended it, and it tells how",
    told.includes("Ctrl-C (SIGINT)"),
    () => told,
  );
  void server.signal([[0, "SIGINT"]]);
  run.checks.equal("forced stop: exit code", { actual: await ending, expected: 1 });
  run.checks.that(
    "forced stop: the line tells what is lost",
    server.output.includes("of stopping: 0 acknowledged objects LOST"),
    () => server.output,
  );
  upload.destroy();
}

/** A signal that comes while the server starts ends it, too. */
async function duringStart(run: SuiteRun): Promise<void> {
  const folder = `${run.folder}/during_start`;
  mkdirSync(folder);
  for (const pauseMs of [50, 300, 600]) {
    const { code, output } = await ServerGroup.interrupted({ ...run, folder, by: "program" }, pauseMs);
    // Before the program itself runs, the signal ends the runtime.
    const ended = code === "SIGTERM" || code === 0;
    run.checks.that(`signal ${pauseMs} ms after the start: it ends`, ended, () => `${code}: ${output}`);
  }
  const { code, output } = await ServerGroup.interrupted({ ...run, folder, by: "program" }, "handled");
  run.checks.equal("signal while the server is loaded: exit code", { actual: code, expected: 0 });
  run.checks.that(
    "signal while the server is loaded: one line tells",
    output === "vitrine: stopped before it served: SIGTERM\n",
    () => output,
  );
}

async function send(port: number, text: string): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {}).pause();
  await once(socket, "connect");
  socket.write(text);
  return socket;
}
