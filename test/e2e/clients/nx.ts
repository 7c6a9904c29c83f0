import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { nodeClients } from "../tools/build_clients.ts";
import type { Build, Target } from "./target.ts";

const PROJECTS = ["a", "b", "c"];

/** nx over a workspace of three projects. */
export async function nx(target: Target): Promise<void> {
  const { checks } = target;
  target.write({
    "package.json": JSON.stringify({ name: "root", private: true }),
    "nx.json": JSON.stringify({ analytics: false }),
    ...Object.fromEntries(PROJECTS.map((name) => {
      const build = {
        command: `mkdir -p dist/${name} && echo built-${name} > dist/${name}/out.txt`,
        cache: true,
        inputs: ["{projectRoot}/**/*"],
        outputs: [`{workspaceRoot}/dist/${name}`],
      };
      return [`${name}/project.json`, JSON.stringify({ name, targets: { build } })];
    })),
  });
  symlinkSync(join(nodeClients(), "node_modules"), join(target.folder, "node_modules"));
  const build = (token = target.token): Build => {
    for (const left of ["dist", "nx-cache", ".nx"]) rmSync(join(target.folder, left), { recursive: true, force: true });
    return target.build(join(nodeClients(), "node_modules", ".bin", "nx"), ["run-many", "-t", "build"], {
      NX_SELF_HOSTED_REMOTE_CACHE_SERVER: target.url,
      NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN: token,
      NX_CACHE_DIRECTORY: join(target.folder, "nx-cache"),
      NX_WORKSPACE_DATA_DIRECTORY: join(target.folder, "nx-cache"),
      NX_DAEMON: "false",
      NX_NO_CLOUD: "true",
      CI: "true",
    });
  };
  const step = async (name: string, wanted: { readonly cached: number; readonly requests: object }, token?: string) => {
    let built: Build = { code: null, text: "" };
    const requests = await target.requests("/v1/cache/{hash}", () => built = build(token));
    const cached = built.text.split("[remote cache]").length - 1;
    checks.equal(`nx: ${name}`, {
      actual: { code: built.code, cached, requests, outputs: outputsOf(target) },
      expected: { code: 0, ...wanted, outputs: PROJECTS.map((each) => `built-${each}\n`) },
    });
    return built;
  };
  const misses = { "GET /v1/cache/{hash} 404": 3, "PUT /v1/cache/{hash} 200": 3 };
  const hits = { "GET /v1/cache/{hash} 200": 3 };
  const read = { "GET /v1/cache/{hash} 404": 3, "PUT /v1/cache/{hash} 403": 3 };
  await step("a cold build stores", { cached: 0, requests: misses });
  await step("a warm build hits", { cached: 3, requests: hits });
  checks.equal("nx: the entries are below nx/", { actual: await target.remove("nx/"), expected: 3 });
  await step("a token that may only read does not break the build", { cached: 0, requests: read }, target.readerToken);
  await step("what is missing is built and stored", { cached: 0, requests: misses });
  checks.equal("nx: the entries are damaged", { actual: await target.damage("nx/"), expected: 3 });
  await step("what is damaged is built and stored", { cached: 0, requests: misses });
  // Nx ends the run, as it says it does for credentials that are refused.
  const refused = build("wrong");
  checks.that("nx: a wrong token is told", refused.text.includes("check token"), () => refused.text);
  await target.restart({ "tenant-rate": "1" });
  const limited = build();
  checks.equal("nx: a server with too much to do does not break the build", {
    actual: { code: limited.code, outputs: outputsOf(target) },
    expected: { code: 0, outputs: PROJECTS.map((each) => `built-${each}\n`) },
  });
}

function outputsOf({ folder }: Target): readonly string[] {
  return PROJECTS.map((name) => join(folder, "dist", name, "out.txt"))
    .map((path) => existsSync(path) ? readFileSync(path, "utf8") : "");
}
