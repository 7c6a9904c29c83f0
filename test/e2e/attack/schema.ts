import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { formatToken, SCOPES } from "../../../src/access/tokens.ts";
import { testToken } from "../../http/tokens.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { cacheFolder } from "../tools/cache_folder.ts";
import { ensureInstalled } from "../tools/debian.ts";
import { run } from "../tools/run.ts";
import { AttackedServer } from "./attacked_server.ts";
import type { PartOptions } from "./part.ts";

const VERSION = "4.32.5";
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
  "allow_header_conformance",
  "unsupported_method",
];

/** Installs schemathesis from PyPI into the cache, and returns the folder. */
function schemathesis(): string {
  ensureInstalled({ python3: "python3", pip3: "python3-pip" });
  const folder = join(cacheFolder("pypi"), `schemathesis-${VERSION}`);
  if (!existsSync(join(folder, "bin", "st"))) {
    run("pip3", ["install", "--quiet", "--target", folder, `schemathesis==${VERSION}`]);
  }
  return folder;
}

/** Requests that schemathesis makes from /openapi.json, with a token for everything and without one. */
export async function schema({ runtime, folder, checks }: SuiteRun, { seconds, seed }: PartOptions): Promise<void> {
  const tool = schemathesis();
  const token = testToken("all", { scopes: [...SCOPES] });
  const server = await AttackedServer.start(runtime, { tokens: formatToken(token.entry) });
  server.token = token.secret;
  for (
    const [name, headers] of [["with a token", [`Authorization:${token.bearer.authorization}`]], [
      "without",
      [],
    ]] as const
  ) {
    const flags = [
      ...["--max-time", String(seconds), "--seed", String(seed), "--checks", CHECKS.join(",")],
      // A stream of events has no end.
      ...["--exclude-path", "/v1/events", "--continue-on-failure", "--no-color", "--request-timeout", "10"],
      ...headers.flatMap((header) => ["--header", header]),
    ];
    const { status, stdout } = spawnSync("python3", [
      join(tool, "bin", "st"),
      "run",
      `${server.url}/openapi.json`,
      ...flags,
    ], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, PYTHONPATH: tool },
    });
    console.log(`schema ${name}: ${/\d+ generated.*/.exec(stdout)?.[0] ?? "nothing generated"}`);
    checks.that(`schema ${name}: the answers are as specified`, status === 0, () => stdout.slice(-6000));
  }
  await server.checkUnharmed("schema", checks);
}
