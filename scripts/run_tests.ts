/**
 * Runs test files on the runtime that runs this script and prints a closing line, `bun: N passed, N failed` or `deno:
 * …`. Arguments are files or folders; without any it runs the quick suite, everything in test/ outside `longSuites`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { countTests } from "./junit.ts";

/** Folders of test/ with suites that have scripts of their own in package.json. */
const longSuites = ["test/e2e/"];
const timeoutMs = 30_000;

function testFiles(args: readonly string[]): readonly string[] {
  if (args.length === 0) {
    return globSync("test/**/*.test.ts").filter((file) => !longSuites.some((folder) => file.startsWith(folder)))
      .toSorted();
  }
  return args.flatMap((arg) => statSync(arg).isDirectory() ? globSync(join(arg, "**/*.test.ts")).toSorted() : [arg]);
}

function commandLine(runtime: "bun" | "deno", report: string, files: readonly string[]): readonly string[] {
  return runtime === "bun"
    ? [
      "test",
      `--timeout=${timeoutMs}`,
      "--reporter=junit",
      `--reporter-outfile=${report}`,
      ...files.map((file) => `./${file}`),
    ]
    : ["test", "--allow-all", "--no-check", `--junit-path=${report}`, ...files];
}

function runTests(runtime: "bun" | "deno", files: readonly string[]): ReturnType<typeof countTests> {
  if (files.length === 0) return { passed: 0, failed: 0 };
  const folder = mkdtempSync(join(tmpdir(), "vitrine-test-"));
  const report = join(folder, "junit.xml");
  try {
    const run = spawnSync(process.execPath, commandLine(runtime, report, files), { stdio: "inherit" });
    const { passed, failed } = countTests(existsSync(report) ? readFileSync(report, "utf8") : "");
    // A file that does not load fails the run without being a test.
    return { passed, failed: failed === 0 && run.status !== 0 ? 1 : failed };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const runtime = process.versions["bun"] === undefined ? "deno" : "bun";
const { passed, failed } = runTests(runtime, testFiles(process.argv.slice(2)));
console.log(`${runtime}: ${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
