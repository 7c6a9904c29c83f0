/**
 * What people install: the npm package, from a registry, by each of the commands in the README, in an empty folder; and
 * the executable, alone in a root folder with nothing but the C library and /proc.
 * `bun run e2e:package [--runtime bun|deno] [--only PART]`
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { checkServed, Installed } from "./package/installed.ts";
import { Registry } from "./package/registry.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";

const options = suiteOptions({}, { only: ["npx", "runtime", "executable"] });
const wants = (part: string) => options.only === "" || options.only === part;

/** A PATH with Node and npm, which Debian has beside each other, and this one program if it is named. */
function pathWith(folder: string, program?: string): string {
  if (program === undefined) return "/usr/local/bin:/usr/bin:/bin";
  const bin = join(folder, "bin");
  mkdirSync(bin);
  cpSync(join(process.cwd(), "node_modules", ".bin", program), join(bin, program), { dereference: true });
  return `${bin}:/usr/local/bin:/usr/bin:/bin`;
}

/** An empty folder for a command, whose bunfig.toml and .env belong to somebody else's project. */
function project(run: SuiteRun, name: string): string {
  const folder = join(run.folder, name);
  mkdirSync(folder);
  writeFileSync(join(folder, ".env"), "VITRINE_NO_SUCH_SETTING=1\n");
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
  writeFileSync(join(folder, "preload.ts"), 'console.log("a stranger\'s preload ran");\n');
  return folder;
}

/** All that the executable needs of a system, in a folder that becomes its root. */
function bareRoot(run: SuiteRun): string {
  const root = join(run.folder, "root");
  for (const folder of ["tmp", "dev", "proc"]) mkdirSync(join(root, folder), { recursive: true });
  cpSync("build/vitrine", join(root, "vitrine"));
  const libraries = execFileSync("ldd", ["build/vitrine"], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
  for (const library of libraries) cpSync(library, join(root, library), { dereference: true });
  return root;
}

await runSuite("package", options, async (run) => {
  const { runtime, checks } = run;
  execFileSync("bun", ["run", "build", "--executable"], { stdio: "inherit" });
  const registry = await Registry.start("build/package", run.folder);
  const environment = { ...registry.environment, HOME: run.folder };
  const check = async (name: string, command: readonly string[], { env = environment, exit = 0 }: {
    readonly env?: NodeJS.ProcessEnv;
    readonly exit?: number | string;
  } = {}): Promise<string> => {
    const startMs = performance.now();
    const installed = new Installed(command, { cwd: project(run, name), env });
    await checkServed(name, installed, { checks, exit });
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    checks.that(`${name}: nothing of a stranger's project was run`, !installed.output.includes("preload ran"));
    return installed.output;
  };
  if (wants("runtime")) {
    const command = runtime === "bun" ? ["bunx", "vitrine"] : ["deno", "run", "-A", "--unstable-net", "npm:vitrine"];
    await check(runtime, command);
  }
  if (wants("npx")) {
    // With Deno in PATH, npx finds it; with Node alone, it brings Bun. npm itself ends by the signal.
    const PATH = pathWith(run.folder, runtime === "deno" ? "deno" : undefined);
    const output = await check("npx", ["npx", "-y", "vitrine"], { env: { ...environment, PATH }, exit: "SIGINT" });
    checks.that("npx says which runtime it took", output.includes(`vitrine: on ${runtime} `), () => output);
  }
  if (wants("executable") && runtime === "bun") {
    // Bun finds what it has to run by /proc. The mount ends with its namespace.
    const enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" /vitrine "$@"';
    await check("executable", ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", enter, bareRoot(run)], { env: {} });
  }
  registry.close();
});
