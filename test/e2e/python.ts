/**
 * The Python client's own tests over real servers, with the Python that is there and nothing else.
 * `bun run e2e:python [--runtime bun|deno]`
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import process from "node:process";
import { suiteOptions } from "./support/options.ts";
import { runSuite } from "./support/run_suite.ts";

const CLIENT = resolve("clients/python/vitrine-cache");
/** What unittest prints last: a run without a test would be a success otherwise. */
const RAN = /^Ran (?<tests>\d+) tests? in .*\n\nOK$/m;

await runSuite("python", suiteOptions({}), ({ runtime, checks }) => {
  const { stdout, stderr } = spawnSync("python3", ["-W", "error", "-m", "unittest", "discover", "--quiet"], {
    cwd: CLIENT,
    encoding: "utf8",
    env: { ...process.env, TEST_RUNTIME: runtime, PYTHONPATH: "src", PYTHONDONTWRITEBYTECODE: "1" },
  });
  const tests = Number(RAN.exec(stderr)?.groups?.["tests"] ?? 0);
  checks.that("the Python client's tests pass", tests > 0, () => `\n${stdout}${stderr}`);
  console.log(`${tests} tests of clients/python/vitrine-cache`);
  return Promise.resolve();
});
