import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

const SIGNALS = ["metrics", "logs", "traces"] as const;
const REJECTED = JSON.stringify({
  partialSuccess: { rejectedDataPoints: "1", rejectedLogRecords: "1", rejectedSpans: "1", errorMessage: "too old" },
});

/** A collector's treatment of pushes, and the text that the one line of each signal must contain. */
interface Trouble {
  readonly name: string;
  readonly answer: { readonly status: number; readonly body: string } | "hang" | "refuse";
  readonly message: string;
  readonly cause: RegExp;
}

const LOST = "a push did not arrive at the collector";
const TROUBLES: readonly Trouble[] = [
  { name: "refuses connections", answer: "refuse", message: LOST, cause: /refused|ECONNREFUSED/i },
  { name: "answers 400", answer: { status: 400, body: "no" }, message: LOST, cause: /answered 400/ },
  { name: "answers 503", answer: { status: 503, body: "" }, message: LOST, cause: /503/ },
  { name: "hangs", answer: "hang", message: LOST, cause: /timed out|no answer/i },
  {
    name: "rejects items",
    answer: { status: 200, body: REJECTED },
    message: "the collector did not take all of a push",
    cause: /too old/,
  },
];

/**
 * Whatever fails is said once, with its cause, and once when it is over: a tier on a full disk, and a collector in
 * every kind of trouble.
 */
export const saysWhy: HostileCase = {
  name: "says_why",
  async run(run) {
    await Promise.all(TROUBLES.map((trouble) => troubledCollector(run, trouble)));
    await fullTier(run);
  },
};

/** The log lines with a message. */
function linesOf(server: ServerProcess, message: string): readonly Readonly<Record<string, unknown>>[] {
  return server.output.split("\n").filter((line) => line.startsWith("{") && line.includes(message)).map((line) =>
    JSON.parse(line)
  );
}

async function troubledCollector({ runtime, folder, checks }: SuiteRun, trouble: Trouble): Promise<void> {
  const { name, answer, message, cause } = trouble;
  let isWell = false;
  const collector = await listening((respond) => {
    if (isWell) respond(200, "{}");
    else if (answer !== "hang" && answer !== "refuse") respond(answer.status, answer.body);
  });
  const isListening = answer !== "refuse";
  if (!isListening) await collector.close();
  const server = await ServerProcess.start({
    runtime,
    flags: {
      workers: "1",
      "l1-size": "16MiB",
      l2: `file://${folder}/${name.replaceAll(" ", "-")}`,
      "log-level": "info",
    },
    prefix: [
      "env",
      `OTEL_EXPORTER_OTLP_ENDPOINT=${collector.url}`,
      "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
      "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20s3cr3t",
      "OTEL_EXPORTER_OTLP_TIMEOUT=300",
      "OTEL_METRIC_EXPORT_INTERVAL=400",
      "OTEL_BSP_SCHEDULE_DELAY=100",
      "OTEL_BLRP_SCHEDULE_DELAY=100",
      "OTEL_TRACES_SAMPLER=always",
    ],
  });
  const object = `http://127.0.0.1:${server.address.port}/v1/objects/k`;
  const ask = async () => {
    await fetch(object, { method: "PUT", body: "bytes" });
    return new Set(linesOf(server, message).map(({ signal }) => signal)).size;
  };
  await until(ask, (signals) => signals === SIGNALS.length, { timeoutMs: 10_000, everyMs: 100 });
  // Some pushes more, of which nothing is to be told.
  for (let more = 0; more < 8; more++) await until(ask, () => true, { timeoutMs: 0, everyMs: 100 });
  for (const signal of SIGNALS) {
    const lines = linesOf(server, message).filter((line) => line["signal"] === signal);
    checks.equal(`a collector that ${name}: one line for ${signal}`, { actual: lines.length, expected: 1 });
    const text = String(lines[0]?.["error"]);
    checks.that(`a collector that ${name}: the line for ${signal} has the cause`, cause.test(text), () => `: ${text}`);
  }
  const settings = linesOf(server, "a setting cannot be used").map(({ variable, value, used }) => ({
    variable,
    value,
    used,
  }));
  checks.equal("a misspelt sampler is told once", {
    actual: settings,
    expected: [{ variable: "OTEL_TRACES_SAMPLER", value: "always", used: "parentbased_always_on" }],
  });
  isWell = true;
  if (isListening) {
    const told = async () => {
      await ask();
      return new Set(linesOf(server, "pushes arrive at the collector again").map(({ signal }) => signal)).size;
    };
    const signals = await until(told, (count) => count === SIGNALS.length, { timeoutMs: 10_000, everyMs: 100 });
    checks.equal(`a collector that ${name}: its recovery is told for each signal`, {
      actual: signals,
      expected: SIGNALS.length,
    });
  }
  checks.that("no secret is told", !server.output.includes("s3cr3t"), () => server.output);
  // A last push that does not arrive is told by the exit code.
  checks.equal("the server stops", { actual: await server.stop(), expected: isListening ? 0 : 3 });
  await collector.close();
}

/** A collector on a free port; `answer` is called for each push once it has come in whole. */
async function listening(
  answer: (respond: (status: number, body: string) => void) => void,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on("end", () => answer((status, body) => void response.writeHead(status).end(body)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`not a TCP address: ${address}`);
  return {
    url: `http://127.0.0.1:${address.port}`,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

async function fullTier({ runtime, folder, checks }: SuiteRun): Promise<void> {
  const disk = `${folder}/disk`;
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", disk]);
  try {
    const server = await ServerProcess.start({
      runtime,
      flags: { workers: "1", "l1-size": "64MiB", l2: `file://${disk}/tier`, write: "through", "log-level": "info" },
    });
    const put = async (sizeBytes = 3_000_000) =>
      (await fetch(`http://127.0.0.1:${server.address.port}/v1/objects/k`, {
        method: "PUT",
        body: new Uint8Array(sizeBytes),
      })).status;
    // Too little for its eviction to make room for more.
    checks.equal("a tier with room takes objects", { actual: await put(100_000), expected: 201 });
    fill(`${disk}/ballast`);
    // Room for the index, none for an object.
    truncateSync(`${disk}/ballast`, statSync(`${disk}/ballast`).size - 1_000_000);
    for (let time = 0; time < 20; time++) {
      const status = await put();
      checks.that("a full disk refuses", status === 503 || status === 507, () => `: ${status}`);
    }
    const message = "a tier failed to store";
    await until(async () => linesOf(server, message).length, (count) => count > 0, { timeoutMs: 5000 });
    const lines = linesOf(server, message);
    checks.equal("twenty failures are one line", { actual: lines.length, expected: 1 });
    const cause = String(lines[0]?.["error"]);
    checks.that(
      "the line has the cause",
      /ENOSPC|no space|disk is full|room/i.test(cause),
      () => `: ${cause}`,
    );
    rmSync(`${disk}/ballast`);
    const recovered = async () => {
      await put();
      return linesOf(server, "a tier works again").length;
    };
    const told = await until(recovered, (count) => count > 0, { timeoutMs: 20_000, everyMs: 500 });
    checks.equal("its recovery is one line", { actual: told, expected: 1 });
    checks.equal("the server stops", { actual: await server.stop(), expected: 0 });
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
}

/** Writes until no byte fits. */
function fill(path: string): void {
  for (const sizeBytes of [1024 * 1024, 4096]) {
    for (;;) {
      try {
        writeFileSync(path, new Uint8Array(sizeBytes), { flag: "a" });
      } catch {
        break;
      }
    }
  }
}
