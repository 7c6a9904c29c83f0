/**
 * Runs test files on the runtime that runs this script and prints a closing line, `bun: N passed, N failed` or `deno:
 * …`. Arguments are files or folders; without any it runs the quick suite, everything in test/ outside `longSuites`.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { batchesOf } from "./test_batches.ts";
import { type Counts, countTests } from "./junit.ts";

/** Folders of test/ with suites that have scripts of their own in package.json. */
const longSuites = ["test/e2e/"];
/** Ends a test that hangs. On a machine with nothing else to do, no test takes a tenth of it. */
const timeoutMs = 120_000;

const runtime = process.versions["bun"] === undefined ? "deno" : "bun";
const folder = mkdtempSync(join(tmpdir(), "vitrine-test-"));

function testFiles(args: readonly string[]): readonly string[] {
  if (args.length === 0) {
    return globSync("test/**/*.test.ts").filter((file) => !longSuites.some((folder) => file.startsWith(folder)))
      .toSorted();
  }
  return args.flatMap((arg) => statSync(arg).isDirectory() ? globSync(join(arg, "**/*.test.ts")).toSorted() : [arg]);
}

/** A module that loads test files into one isolate: of their own, each costs 0.3 s of CPU before its first test. */
function sharedIsolate(batch: readonly string[], name: string): string {
  const path = join(folder, `${name}.test.ts`);
  const urlOf = (file: string) => pathToFileURL(resolve(file)).href;
  const loads = batch.map((file) => `await loadFile("${file}", () => import("${urlOf(file)}"));\n`);
  writeFileSync(path, `import { loadFile } from "${urlOf("scripts/bun_test_shim.ts")}";\n${loads.join("")}`);
  return path;
}

function commandLine(batch: readonly string[], name: string, report: string): readonly string[] {
  if (runtime === "bun") {
    const files = batch.map((file) => `./${file}`);
    return ["test", `--timeout=${timeoutMs}`, "--reporter=junit", `--reporter-outfile=${report}`, ...files];
  }
  const files = batch.length === 1 ? batch : [sharedIsolate(batch, name)];
  return ["test", "--allow-all", "--no-check", `--junit-path=${report}`, ...files];
}

/** The output of the batches in which a test failed: it comes last. */
const failures: Uint8Array[] = [];

/** Runs test files in a process of their own; what it prints comes out in one piece. */
async function runBatch(batch: readonly string[], name: string): Promise<Counts> {
  const report = join(folder, `${name}.xml`);
  const child = spawn(process.execPath, commandLine(batch, name, report), { stdio: ["ignore", "pipe", "pipe"] });
  const output: Uint8Array[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Uint8Array) => output.push(chunk));
  const exitCode = await new Promise<number | null>((resolve, reject) =>
    child.on("error", reject).on("close", resolve)
  );
  if (exitCode === 0) { for (const chunk of output) process.stdout.write(chunk); }
  else failures.push(...output);
  const { passed, failed } = countTests(existsSync(report) ? readFileSync(report, "utf8") : "");
  // A file that does not load fails the run without being a test.
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

const total = { passed: 0, failed: 0 };
const batches = batchesOf(testFiles(process.argv.slice(2))).entries();

/** As many of these run side by side as the machine has cores; each takes the next batch until none is left. */
async function runBatches(): Promise<void> {
  for (const [index, batch] of batches) {
    const { passed, failed } = await runBatch(batch, `batch${index}`);
    total.passed += passed;
    total.failed += failed;
  }
}

try {
  await Promise.all(Array.from({ length: availableParallelism() }, runBatches));
} finally {
  rmSync(folder, { recursive: true });
}
for (const chunk of failures) process.stdout.write(chunk);
console.log(`${runtime}: ${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
