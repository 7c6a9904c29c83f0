/**
 * Builds what people install, in build/: the npm package, and with `--executable` the single file for this machine.
 * Both hold the whole server with its dependencies, bundled, and need nothing else but a runtime, or not even that.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import type { BunPlugin } from "bun";
import manifest from "../package.json" with { type: "json" };
import { readPageSource } from "../routes/page_source.ts";

const FOLDER = "build";
const PACKAGE = `${FOLDER}/package`;
const EXECUTABLE = `${FOLDER}/vitrine`;
/** The program of each kind of thread. In the build they are beside each other, and so are the parts they share. */
const entrypoints = ["src/main.ts", "src/compose/cluster/worker.ts", "src/compose/cluster/storage_thread.ts"];

/** Points the addresses of threads at their built programs, and puts the page's files in place of their reader. */
const builtIn: BunPlugin = {
  name: "built in",
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8")
        .replaceAll(/new URL\("[^"]*?([a-z_]+)\.ts", import\.meta\.url\)/g, 'new URL("./$1.js", import.meta.url)'),
      loader: "ts",
    }));
    build.onLoad({ filter: /\/routes\/page_source\.ts$/ }, () => ({ contents: pageModule(), loader: "ts" }));
  },
};

function pageModule(): string {
  const files = Array.from(readPageSource(), ([name, bytes]) => [name, bytes.toBase64()]);
  return `import { Buffer } from "node:buffer";
    const files = ${JSON.stringify(files)};
    export const readPageSource = () =>
      new Map(files.map(([name, text]) => [name, new Uint8Array(Buffer.from(text, "base64"))]));`;
}

const options = {
  entrypoints,
  target: "node",
  format: "esm",
  splitting: true,
  sourcemap: "none",
  minify: { whitespace: true, syntax: true },
  naming: { entry: "[name].js", chunk: "part_[hash].js" },
} satisfies Partial<Bun.BuildConfig>;

/** The licenses of all packages that the bundle contains. */
function licenses(inputs: readonly string[]): string {
  const packages = new Set(inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  return [...packages].toSorted().map((folder) => {
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    return `${name} ${version} (${license})\n\n${file === undefined ? "" : readFileSync(`${folder}/${file}`, "utf8")}`;
  }).join(`\n${"-".repeat(80)}\n\n`);
}

async function buildPackage(): Promise<void> {
  const { metafile } = await Bun.build({ ...options, outdir: `${PACKAGE}/server`, plugins: [builtIn], metafile: true });
  if (metafile === undefined) throw new Error("build package: no list of its parts");
  mkdirSync(`${PACKAGE}/bin`, { recursive: true });
  for (const name of ["README.md", "LICENSE"]) cpSync(name, `${PACKAGE}/${name}`);
  writeFileSync(`${PACKAGE}/THIRD_PARTY_LICENSES`, licenses(Object.keys(metafile.inputs)));
  const [command] = (await Bun.build({ entrypoints: ["scripts/package_command.ts"], target: "node" })).outputs;
  writeFileSync(`${PACKAGE}/bin/vitrine.js`, await command?.text() ?? "");
  chmodSync(`${PACKAGE}/bin/vitrine.js`, 0o755);
  const { name, version, description, license, devDependencies: { bun, deno } } = manifest;
  writeFileSync(
    `${PACKAGE}/package.json`,
    JSON.stringify(
      { name, version, description, license, type: "module", bin: "bin/vitrine.js", runtimes: { bun, deno } },
      null,
      2,
    ),
  );
}

/** A server that is started in a project's folder must not run or read what that project has for its own programs. */
const ownFilesOnly = {
  autoloadDotenv: false,
  autoloadBunfig: false,
  autoloadTsconfig: false,
  autoloadPackageJson: false,
};

async function buildExecutable(): Promise<void> {
  await Bun.build({ ...options, target: "bun", plugins: [builtIn], compile: { outfile: EXECUTABLE, ...ownFilesOnly } });
}

rmSync(FOLDER, { recursive: true, force: true });
await buildPackage();
if (process.argv.includes("--executable")) await buildExecutable();
