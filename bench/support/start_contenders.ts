import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import process from "node:process";
import { ServerProcess } from "../../test/e2e/support/server_process.ts";
import type { BareAnswers } from "./bare_handler.ts";
import { type BenchCase, type Contender, contendersOf, needsToken } from "./cases.ts";
import { prepareNginx } from "./nginx.ts";

/** Headers that the runtimes write themselves. */
const framing = new Set(["date", "content-length", "transfer-encoding", "connection", "keep-alive"]);

function start(command: readonly string[], core: number): ChildProcess {
  const child = spawn("taskset", ["-c", String(core), ...command], { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  return child;
}

async function startBare(runtime: "bun" | "deno", answers: BareAnswers, core: number): Promise<number> {
  const script = new URL("bare_server.ts", import.meta.url).pathname;
  const run = runtime === "bun" ? ["bun"] : ["deno", "run", "--allow-all", "--no-check"];
  const child = start([...run, script, JSON.stringify(answers)], core);
  if (child.stdout === null) throw new Error("start bare server: no output");
  const [line] = await once(child.stdout, "data");
  return Number(/:(\d+)\s*$/.exec(String(line))?.[1]);
}

/** The token of those that ask for one. */
export const AUTHORIZATION = "Bearer vit_bench";

async function startVitrine(runtime: "bun" | "deno", core: number, token?: "token"): Promise<number> {
  const sha256 = createHash("sha256").update("vit_bench").digest("hex");
  const tokens = token === undefined ? "none" : JSON.stringify({ id: "bench", sha256, scopes: ["read", "write"] });
  const flags = { "l1-size": token === undefined ? "1GiB" : "64MiB", l2: "none", workers: "1", tokens };
  const { address } = await ServerProcess.start({ runtime, flags, prefix: ["taskset", "-c", String(core)] });
  return address.port;
}

/** Stores the objects that the GET cases read; what Vitrine answers is what the bare servers will answer. */
async function storeObjects(
  port: number,
  cases: readonly BenchCase[],
  headers: Readonly<Record<string, string>> = {},
): Promise<BareAnswers> {
  const stored = cases.filter(({ method }) => method === "GET").map(async ({ path, sizeBytes }) => {
    const url = `http://127.0.0.1:${port}${path}`;
    const put = await fetch(url, { method: "PUT", headers, body: new Uint8Array(sizeBytes).fill(120) });
    if (put.status !== 201) throw new Error(`PUT ${path}: ${put.status}`);
    const got = await fetch(url, { headers });
    if ((await got.arrayBuffer()).byteLength !== sizeBytes) throw new Error(`GET ${path}: wrong length`);
    const sent = Array.from(got.headers).filter(([name]) => !framing.has(name));
    return [path, { sizeBytes, headers: Object.fromEntries(sent) }] as const;
  });
  return Object.fromEntries(await Promise.all(stored));
}

/** Starts every server on one core, all with the same objects; their ports by name. They end with this process. */
export async function startContenders(
  cases: readonly BenchCase[],
  { core, folder }: { readonly core: number; readonly folder: string },
): Promise<Readonly<Record<Contender, number>>> {
  const [onBun, onDeno] = [await startVitrine("bun", core), await startVitrine("deno", core)];
  const answers = await storeObjects(onBun, cases);
  await storeObjects(onDeno, cases);
  const withToken = { bun: await startVitrine("bun", core, "token"), deno: await startVitrine("deno", core, "token") };
  const asked = cases.filter((each) => contendersOf(each).some(needsToken));
  for (const port of Object.values(withToken)) await storeObjects(port, asked, { authorization: AUTHORIZATION });
  const nginx = await prepareNginx(folder, answers);
  start(nginx.command, core);
  return {
    "vitrine on bun": onBun,
    "with a token on bun": withToken.bun,
    "with a token on deno": withToken.deno,
    "bare Bun.serve": await startBare("bun", answers, core),
    "vitrine on deno": onDeno,
    "bare Deno.serve": await startBare("deno", answers, core),
    nginx: nginx.port,
  };
}
