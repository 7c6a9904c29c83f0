import { createHash } from "node:crypto";
import { type RuntimeName, ServerProcess } from "../../test/e2e/support/server_process.ts";
import type { BareAnswers } from "../support/bare_handler.ts";
import type { Contender, StoredObject } from "./contender.ts";
import { overHttp } from "./http_load.ts";

/** The token of those that ask for one. */
const secret = "vit_bench";
/** Header fields that the runtimes write themselves. */
const framing = new Set(["date", "content-length", "transfer-encoding", "connection", "keep-alive"]);

/** How a server differs from the one that has one worker and no tokens. */
export interface VitrineOptions {
  readonly runtime: RuntimeName;
  readonly prefix: readonly string[];
  readonly objects: readonly StoredObject[];
  readonly flags?: Readonly<Record<string, string>>;
  readonly withToken?: boolean;
}

/** A server without tiers that has the objects, and what it answers. */
export async function startVitrine(
  { runtime, prefix, objects, flags = {}, withToken = false }: VitrineOptions,
): Promise<Contender & { readonly answers: BareAnswers }> {
  const sha256 = createHash("sha256").update(secret).digest("hex");
  const tokens = withToken ? JSON.stringify({ id: "bench", sha256, scopes: ["read", "write"] }) : "none";
  const all = { "l1-size": "1GiB", l2: "none", workers: "1", tokens, ...flags };
  const { address: { port }, pid } = await ServerProcess.start({ runtime, flags: all, prefix });
  const authorization = withToken ? `Bearer ${secret}` : undefined;
  const headers = authorization === undefined ? {} : { authorization };
  const answers: Record<string, BareAnswers[string]> = {};
  for (const { path, sizeBytes } of objects) {
    const url = `http://127.0.0.1:${port}${path}`;
    const put = await fetch(url, { method: "PUT", headers, body: new Uint8Array(sizeBytes).fill(120) });
    if (put.status !== 201) throw new Error(`PUT ${path}: ${put.status}`);
    const got = await fetch(url, { headers });
    if ((await got.arrayBuffer()).byteLength !== sizeBytes) throw new Error(`GET ${path}: wrong length`);
    const sent = Array.from(got.headers).filter(([name]) => !framing.has(name));
    answers[path] = { sizeBytes, headers: Object.fromEntries(sent) };
  }
  return { ...overHttp({ port, pid, authorization }), answers };
}
