import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsClient } from "aws4fetch";
import { formatToken, SCOPES } from "../../src/access/tokens.ts";
import { startCluster } from "../../src/compose/cluster.ts";
import { startSingle } from "../../src/compose/single.ts";
import { runTokenCommand } from "../../src/compose/token_command.ts";
import { testToken } from "../http/tokens.ts";
import { EventStream } from "../support/event_stream.ts";
import type { ServerOptions } from "../../src/compose/server.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-access-"));
const file = join(folder, "tokens");
const errors: unknown[] = [];
const admin = testToken("admin", { scopes: ["admin"] });
const a = testToken("a", { scopes: ["read", "write", "create-only"], tenant: "secret-tenant" });
const creator = testToken("creator", { scopes: ["read", "create-only"] });

function writeTokens(...tokens: readonly (typeof admin)[]): void {
  writeFileSync(`${file}.new`, tokens.map(({ entry }) => `${formatToken(entry)}\n`).join(""));
  renameSync(`${file}.new`, file);
}

function options(...args: readonly string[]): ServerOptions {
  return serverOptions([...TWO_WORKERS, "--l1-size", "8MiB", "--l2", "none", "--log-level", "error", ...args], {
    errors,
  });
}

writeTokens(admin, a, creator);
const cluster = await startCluster(options("--tokens-file", file));
const service = `http://127.0.0.1:${cluster.address.port}`;
const adminPort = `http://127.0.0.1:${cluster.adminAddress.port}`;

afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true });
});

/** A connection of its own each time, so that the kernel picks the worker anew. */
function visit(url: string, headers: Readonly<Record<string, string>> = {}, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { ...init, headers: { ...headers, connection: "close" } });
}

async function statusOf(answer: Promise<Response>): Promise<number> {
  const { status, body } = await answer;
  await body?.cancel();
  return status;
}

test("both ports ask for tokens, and the admin port's health does not", async () => {
  for (const port of [service, adminPort]) {
    for (const path of ["/status", "/config", "/version", "/metrics", "/v1/events"]) {
      expect([path, await statusOf(visit(port + path))]).toEqual([path, 401]);
      expect([path, await statusOf(visit(port + path, a.bearer))]).toEqual([path, 403]);
      expect([path, await statusOf(visit(port + path, admin.bearer))]).toEqual([path, 200]);
    }
    for (const path of ["/healthz", "/readyz"]) expect(await statusOf(visit(port + path))).toBe(200);
  }
  expect(await statusOf(visit(`${service}/v1/objects/a`))).toBe(401);
});

test("tokens of several workers create an object once, and never replace it", async () => {
  const put = (i: number) =>
    statusOf(visit(`${service}/v1/objects/once`, creator.bearer, { method: "PUT", body: `${i}` }));
  const statuses = await Promise.all(Array.from({ length: 24 }, (_, i) => put(i)));
  expect(statuses.filter((status) => status === 201).length).toBe(1);
  expect(statuses.filter((status) => status === 412).length).toBe(23);
  const kept = await (await visit(`${service}/v1/objects/once`, creator.bearer)).text();
  expect(kept).toBe(String(statuses.indexOf(201)));
});

test("no answer and no event has a secret, or its hash; events and metrics tell who was refused", async () => {
  const response = await visit(`${service}/v1/events`, admin.bearer);
  const stream = new EventStream(response);
  await stream.line();
  const wrong = "vit_not_a_token_of_anybody";
  await statusOf(visit(`${service}/v1/objects/a`, { authorization: `Bearer ${wrong}` }));
  await statusOf(visit(`${service}/v1/objects/a`, a.bearer));
  await statusOf(visit(`${service}/v1/objects/a`, { ...a.bearer, "vitrine-tenant": "other" }));
  const lines: string[] = [];
  const heard = (name: string) => lines.filter((line) => line.includes(`"${name}"`)).length;
  // The ends of earlier requests may come first.
  while (heard("access.refused") < 2 || heard("http.request.end") < 3) lines.push(await stream.line() ?? "");
  await stream.leave();
  const texts = [...lines];
  for (const path of ["/config", "/status", "/metrics", "/openapi.json", "/v1/access"]) {
    texts.push(await (await visit(service + path, admin.bearer)).text());
  }
  const all = texts.join("\n");
  for (const { secret, entry } of [admin, a, creator]) {
    expect([all.includes(secret), all.includes(entry.sha256 ?? "")]).toEqual([false, false]);
  }
  expect(all).not.toContain(wrong);
  const refused = lines.filter((line) => line.includes('"access.refused"')).map((line) => JSON.parse(line));
  // They may be of two workers.
  expect(refused.map(({ reason, address, token }) => `${reason} ${address} ${token}`).toSorted()).toEqual([
    "forbidden 127.0.0.1 a",
    "unknown 127.0.0.1 undefined",
  ]);
  expect(await metric("vitrine_auth_failures_total", 'reason="unknown"')).toBe(1);
});

/** The value of a counter's series with such a label. */
async function metric(name: string, label: string): Promise<number> {
  const text = await (await visit(`${adminPort}/metrics`, admin.bearer)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name}{`) && each.includes(label)) ?? "";
  return Number(line.split(" ")[1]);
}

/** Resolves when a call is answered so, by whichever worker. */
async function until(status: number, ask: () => Promise<Response>): Promise<void> {
  for (let inRow = 0; inRow < 8;) inRow = await statusOf(ask()) === status ? inRow + 1 : 0;
}

test("a file that has changed counts in all workers and on the admin port, one that is broken does not", async () => {
  const other = testToken("other", { scopes: SCOPES.slice() });
  writeTokens(admin, a, other);
  await until(200, () => visit(`${adminPort}/status`, other.bearer));
  await until(404, () => visit(`${service}/v1/objects/a`, other.bearer));
  // The address has failed often by now.
  expect([401, 429]).toContain(await statusOf(visit(`${service}/v1/objects/once`, creator.bearer)));
  writeFileSync(file, "vit_oops\n");
  const failed = () => metric("vitrine_token_file_loads_total", 'outcome="failed"');
  while (await failed() !== 1);
  expect(await statusOf(visit(`${service}/v1/objects/a`, other.bearer))).toBe(404);
  for (const slot of [0, 1]) await cluster.supervisor.kill(slot);
  await until(
    404,
    () => visit(`${service}/v1/objects/a`, other.bearer).catch(() => new Response(null, { status: 503 })),
  );
  expect(await failed()).toBe(1);
});

test("metrics that everybody may read name no tenant where there are tokens", async () => {
  const single = await startSingle(options("--tokens", formatToken(a.entry), "--metrics-access", "open"));
  const url = `http://127.0.0.1:${single.address.port}`;
  expect(await statusOf(visit(`${url}/v1/objects/a`, a.bearer))).toBe(404);
  const text = await (await visit(`${url}/metrics`)).text();
  expect([text.includes("secret-tenant"), text.includes('cache_salt="_other"')]).toEqual([false, true]);
  expect(await statusOf(visit(`${url}/status`))).toBe(401);
  await single.stop();
});

test("token create makes a key pair with which S3 clients are known to the server", async () => {
  const key = "a key of a server in tests, of more than 32 characters";
  const printed: string[] = [];
  const run = (...args: readonly string[]) =>
    runTokenCommand({
      args: ["create", "--id", "kv", "--scopes", "read,write", "--s3", ...args],
      env: {},
      print: (line) => printed.push(line),
      say: () => {},
      readLine: () => Promise.resolve(""),
    });
  expect(await run().then(() => "made", String)).toContain("--s3 needs the server's key");
  await run("--s3-key", key);
  const [secretAccessKey = "", line = ""] = printed;
  expect(line).not.toContain(secretAccessKey);
  const refusal = await startSingle(options("--tokens", line)).then(() => "started", String);
  expect(refusal).toBe("VitrineError: read tokens: the setting s3-key is needed for the key pair kv");
  const single = await startSingle(options("--tokens", line, "--s3-key", key));
  const client = new AwsClient({ accessKeyId: "kv", secretAccessKey, service: "s3", region: "us-east-1", retries: 0 });
  const url = `http://127.0.0.1:${single.address.port}/s3/b/k`;
  expect((await client.fetch(url, { method: "PUT", body: "hello" })).status).toBe(200);
  expect(await (await client.fetch(url)).text()).toBe("hello");
  expect((await fetch(url)).status).toBe(403);
  await single.stop();
});

test("a server does not start with tokens that cannot be used, and shows nothing of them", async () => {
  for (const start of [startCluster, startSingle]) {
    const failure = await start(options("--tokens", "vit_secret")).then(() => "started", String);
    expect(failure).toBe("VitrineError: read tokens from the setting tokens: line 1: not JSON");
    const missing = await start(options("--tokens-file", join(folder, "nowhere"))).then(() => "started", String);
    expect(missing).toContain("read tokens from");
  }
  expect(errors).toEqual([]);
});
