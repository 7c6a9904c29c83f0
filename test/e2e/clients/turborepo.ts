import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeClients } from "../tools/build_clients.ts";
import type { Build, Target } from "./target.ts";

const PACKAGES = ["a", "b", "c"];
const SIGNATURE_KEY = "a key of this suite, of more than 32 characters";

/** turbo over a workspace of three packages, with signed artifacts. */
export async function turborepo(target: Target): Promise<void> {
  const { checks } = target;
  target.write({
    "package.json": JSON.stringify({
      name: "root",
      private: true,
      packageManager: "npm@10.8.2",
      workspaces: ["packages/*"],
    }),
    "turbo.json": JSON.stringify({ tasks: { build: { outputs: ["dist/**"] } }, remoteCache: { signature: true } }),
    ...Object.fromEntries(PACKAGES.map((name) => [
      `packages/${name}/package.json`,
      JSON.stringify({
        name,
        version: "1.0.0",
        scripts: { build: `mkdir -p dist && echo built-${name} > dist/out.txt` },
      }),
    ])),
  });
  const build = (env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Build => {
    for (const name of PACKAGES) {
      for (const left of ["dist", ".turbo"]) {
        rmSync(join(target.folder, "packages", name, left), { recursive: true, force: true });
      }
    }
    for (const left of [".turbo", "node_modules"]) rmSync(join(target.folder, left), { recursive: true, force: true });
    return target.build(join(nodeClients(), "node_modules", ".bin", "turbo"), ["run", "build", ...args], {
      TURBO_API: target.url,
      TURBO_TOKEN: target.token,
      TURBO_TEAM: "web",
      TURBO_REMOTE_CACHE_SIGNATURE_KEY: SIGNATURE_KEY,
      TURBO_TELEMETRY_DISABLED: "1",
      ...env,
    });
  };
  const step = async (
    name: string,
    wanted: { readonly cached: number; readonly requests: object },
    run: () => Build,
  ) => {
    let built: Build = { code: null, text: "" };
    const requests = await target.requests("/v8/artifacts/{hash}", () => built = run());
    const cached = Number(/Cached: +(\d+) cached/.exec(built.text)?.[1]);
    checks.equal(`turbo: ${name}`, {
      actual: { code: built.code, cached, requests, outputs: outputsOf(target) },
      expected: { code: 0, ...wanted, outputs: PACKAGES.map((each) => `built-${each}\n`) },
    });
    return built;
  };
  const misses = { "GET /v8/artifacts/{hash} 404": 3, "PUT /v8/artifacts/{hash} 202": 3 };
  const hits = { "GET /v8/artifacts/{hash} 200": 3 };
  await step("a cold build stores", { cached: 0, requests: misses }, () => build());
  await step("a warm build hits", { cached: 3, requests: hits }, () => build());
  await step(
    "with preflights the token is sent too",
    { cached: 3, requests: { ...hits, "OPTIONS /v8/artifacts/{hash} 204": 4 } },
    () => build({ TURBO_PREFLIGHT: "true" }),
  );
  await step("another team has nothing", { cached: 0, requests: misses }, () => build({ TURBO_TEAM: "other" }));
  const asked = await target.requests("/v8/artifacts", () => {
    const dry = build({}, ["--dry=json"]);
    const remote = Array.from(dry.text.matchAll(/"remote": (\w+)/g), ([, value]) => value);
    checks.equal("turbo: a dry run finds them", { actual: remote, expected: ["true", "true", "true"] });
  });
  checks.equal("turbo: a dry run asks for all at once", { actual: asked["POST /v8/artifacts 200"], expected: 1 });
  const removed = await target.remove("turborepo/web/");
  checks.equal("turbo: the artifacts are below turborepo/TEAM/", { actual: removed, expected: 3 });
  await step("what is missing is built and stored", { cached: 0, requests: misses }, () => build());
  checks.equal("turbo: the artifacts are damaged", { actual: await target.damage("turborepo/web/"), expected: 3 });
  await step("what is damaged is built and stored", { cached: 0, requests: misses }, () => build());
  await step("what was stored again is hit", { cached: 3, requests: hits }, () => build());
  const refused = await step(
    "a wrong token does not break the build",
    { cached: 0, requests: { "GET /v8/artifacts/{hash} 401": 3, "PUT /v8/artifacts/{hash} 401": 3 } },
    () => build({ TURBO_TOKEN: "wrong" }),
  );
  checks.that("turbo: a wrong token is told", /WARN|error|401/i.test(refused.text), () => refused.text);
  await target.remove("turborepo/web/");
  // It may give up after the first refusal.
  const requests = await target.requests("/v8/artifacts/{hash}", () => {
    const read = build({ TURBO_TOKEN: target.readerToken });
    checks.equal("turbo: a token that may only read does not break the build", { actual: read.code, expected: 0 });
    checks.that(
      "turbo: it understands the refusal",
      read.text.includes("rejected an upload with 403"),
      () => read.text,
    );
    checks.that("turbo: it parses the refusal", !read.text.includes("invalid JSON"), () => read.text);
  });
  checks.that("turbo: a token that may only read stores nothing", !("PUT /v8/artifacts/{hash} 202" in requests));
}

function outputsOf({ folder }: Target): readonly string[] {
  return PACKAGES.map((name) => readFileSync(join(folder, "packages", name, "dist", "out.txt"), "utf8"));
}
