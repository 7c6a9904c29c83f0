import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { RuntimeName } from "../support/server_process.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

const timeoutMs = 15_000;
const PASSWORD = "correct horse battery";

/**
 * Tokens made by the command are used, changed and broken while the server runs; and of no secret that was ever sent,
 * right or wrong, anything stands in any output: log, request log, events, settings, metrics, pushes, errors.
 */
export const tokens: HostileCase = {
  name: "tokens",
  async run({ runtime, folder, checks }) {
    const file = `${folder}/tokens`;
    const secret = create(runtime, ["--id", "ci", "--scopes", "read,write", "--tenant", "team", "--file", file]);
    const admin = create(runtime, ["--id", "boss", "--scopes", "read,admin", "--file", file]);
    create(runtime, ["--id", "person", "--scopes", "read", "--password", "--file", file], PASSWORD);
    const collector = await Collected.start();
    const requestLog = `${folder}/requests.jsonl`;
    const server = await ServerProcess.start({
      runtime,
      flags: {
        workers: "2",
        "l1-size": "16MiB",
        l2: "none",
        host: "0.0.0.0",
        "tokens-file": file,
        "log-level": "debug",
        "request-log": requestLog,
      },
      prefix: ["env", `OTEL_EXPORTER_OTLP_ENDPOINT=${collector.url}`, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"],
    });
    const { port } = server.address;
    const url = `http://127.0.0.1:${port}`;
    const adminUrl = `http://127.0.0.1:${server.adminAddress.port}`;
    const ask = async (path: string, authorization?: string, init: RequestInit = {}, from = url) => {
      const headers = authorization === undefined ? {} : { authorization };
      const response = await fetch(from + path, { ...init, headers: { ...headers, connection: "close" } });
      return { status: response.status, text: await response.text() };
    };
    const bearer = (token: string) => `Bearer ${token}`;
    const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;
    const reader = collect(await fetch(`${adminUrl}/v1/events`, { headers: { authorization: bearer(admin) } }));

    const statuses = [
      (await ask("/v1/objects/k", bearer(secret), { method: "PUT", body: "x" })).status,
      (await ask("/v1/objects/k", basic("anybody", secret))).status,
      (await ask("/v1/objects/k", basic("person", PASSWORD))).status,
      (await ask("/v1/objects/k", basic("person", `${PASSWORD}!`))).status,
      (await ask("/v1/objects/k", `${bearer(secret)}x`)).status,
      (await ask(`/v1/objects/k?token=nothing`, `Digest ${secret}`)).status,
      (await ask("/v1/objects/k", bearer(admin), { method: "DELETE" })).status,
      (await ask("/v1/objects/k")).status,
    ];
    checks.equal("statuses", { actual: statuses, expected: [201, 200, 404, 401, 401, 401, 403, 401] });

    const changed = readFileSync(file, "utf8").split("\n").filter((line) => !line.includes('"ci"')).join("\n");
    replace(file, `${changed}\n{"id":"broken","secret":"${secret}"`);
    await until(
      async () => await Promise.resolve(server.output),
      (text) => text.includes("the token file is invalid"),
      {
        timeoutMs,
      },
    );
    checks.equal("still let in", { actual: (await ask("/v1/objects/k", bearer(secret))).status, expected: 200 });
    replace(file, changed);
    const gone = async () => {
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask("/v1/objects/k", bearer(secret))));
      return answers.map(({ status }) => status);
    };
    const isOut = (all: readonly number[]) => all.every((status) => status === 401 || status === 429);
    const last = await until(gone, isOut, { timeoutMs });
    checks.that("a token that is gone opens nothing in any worker", isOut(last), () => String(last));
    checks.equal("the broken file, in the log", {
      actual: server.output.split("\n").filter((line) => line.includes("the token file is invalid")).length,
      expected: 1,
    });

    const pages = await Promise.all(
      ["/config", "/status", "/metrics", "/v1/access", "/openapi.json"].map((path) =>
        ask(path, bearer(admin), {}, adminUrl)
      ),
    );
    checks.that("settings are shown", pages[0]?.text.includes("tokensFile") === true, () => pages[0]?.text ?? "");
    const live = await reader;
    checks.equal("exit code", { actual: await server.stop(), expected: 0 });
    const outputs = {
      log: server.output,
      requests: readFileSync(requestLog, "utf8"),
      events: live,
      pages: pages.map(({ text }) => text).join("\n"),
      pushes: await collector.close(),
    };
    const hashes = [...readFileSync(file, "utf8").matchAll(/"(?:sha256|scrypt)":"(?<hash>[^"]+)"/g)]
      .map(({ groups }) => groups?.["hash"] ?? "");
    const hidden = [secret, admin, PASSWORD, secret.slice(4, 24), admin.slice(4, 24), ...hashes];
    for (const text of [basic("anybody", secret), basic("person", PASSWORD), basic("person", `${PASSWORD}!`)]) {
      hidden.push(text.slice("Basic ".length));
    }
    for (const [name, text] of Object.entries(outputs)) {
      checks.that(`${name}: something was said`, text.length > 100, () => text);
      checks.that(`${name}: says no secret`, hidden.every((each) => !text.includes(each)), () => text.slice(0, 2000));
    }
    for (const name of ["requests", "events", "pushes"] as const) {
      checks.that(`${name}: says who it was`, outputs[name].includes("ci"), () => outputs[name].slice(0, 2000));
    }
  },
};

/** Makes a token with the command; what it prints is the secret. */
function create(runtime: RuntimeName, args: readonly string[], input = ""): string {
  const run = runtime === "bun" ? ["bun"] : ["deno", "run", "--allow-all"];
  const [command = "", ...rest] = [...run, "src/main.ts", "token", "create", ...args];
  return execFileSync(command, rest, { input: `${input}\n`, stdio: ["pipe", "pipe", "ignore"] }).toString().trim();
}

/** Another file in its place, in one step. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** What comes of a stream of events until it tells that the tokens were read again. */
async function collect(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes('"outcome":"loaded"')) return text;
  }
  return text;
}

/** A collector that keeps what is pushed. */
class Collected {
  readonly url: string;
  readonly #close: () => Promise<string>;

  private constructor(url: string, close: () => Promise<string>) {
    this.url = url;
    this.#close = close;
  }

  static async start(): Promise<Collected> {
    const bodies: string[] = [];
    const keep = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      bodies.push((await buffer(request)).toString());
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    };
    const server = createServer((request, response) => void keep(request, response)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return new Collected(`http://127.0.0.1:${port}`, async () => {
      server.closeAllConnections();
      server.close();
      return await Promise.resolve(bodies.join("\n"));
    });
  }

  /** Ends it; all that was pushed. */
  close(): Promise<string> {
    return this.#close();
  }
}
