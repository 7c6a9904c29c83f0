/**
 * A server with a file tier against the same server without it, against the disk itself and against a peer. It has two
 * workers; every ratio is of one run, the sides in turns. `bun run bench:disk [--runtime bun|deno] [--only NAME]
 * [--short] [--rounds N] [--seconds N] [--folder DIR] [--tree DIR] [--update]`: `--folder` is on the disk to measure
 * (default: the temp folder), `--tree` the root of another checkout whose server is measured; `--update` writes the
 * table into docs/BENCHMARKS.md.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { RuntimeName } from "../test/e2e/support/server_process.ts";
import { ensureInstalled } from "../test/e2e/tools/debian.ts";
import type { DiskPart, Row } from "./disk/disk_part.ts";
import { faults } from "./disk/faults.ts";
import { hits } from "./disk/hits.ts";
import { largePuts } from "./disk/large_puts.ts";
import { readThrough } from "./disk/read_through.ts";
import { restart } from "./disk/restart.ts";
import { HEAD, missingRow } from "./disk/rows.ts";
import { singlePut } from "./disk/single_put.ts";
import { smallPuts } from "./disk/small_puts.ts";
import { table } from "./support/report.ts";

const documentPath = "docs/BENCHMARKS.md";
const parts: readonly DiskPart[] = [hits, smallPuts, singlePut, largePuts, readThrough, restart, faults];

const { values } = parseArgs({
  options: {
    runtime: { type: "string", default: "both" },
    only: { type: "string", default: "" },
    short: { type: "boolean", default: false },
    rounds: { type: "string", default: "" },
    seconds: { type: "string", default: "" },
    folder: { type: "string", default: tmpdir() },
    tree: { type: "string", default: "." },
    update: { type: "boolean", default: false },
  },
});
const isShort = values.short;
const rounds = Number(values.rounds || (isShort ? 3 : 7));
const seconds = Number(values.seconds || (isShort ? 1 : 2));
const tree = resolve(values.tree);

function runtimesOf(value: string): readonly RuntimeName[] {
  if (value === "both") return ["bun", "deno"];
  if (value === "bun" || value === "deno") return [value];
  throw new Error(`--runtime: neither bun nor deno nor both: ${value}`);
}

async function runPart(part: DiskPart, runtime: RuntimeName, sharedFolder: string): Promise<readonly Row[]> {
  const folder = join(sharedFolder, `${part.name}-${runtime}`);
  mkdirSync(folder);
  try {
    return await part.run({ runtime, folder, sharedFolder, tree, rounds, seconds, isShort });
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    return [missingRow(part.name, runtime, String(error))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function updateDocument(text: string): void {
  const marked = /(?<=<!-- bench:disk:start -->\n).*(?=<!-- bench:disk:end -->)/s;
  writeFileSync(documentPath, readFileSync(documentPath, "utf8").replace(marked, () => `\n${text}\n\n`));
}

ensureInstalled({ wrk: "wrk" });
if (values.only !== "" && !parts.some(({ name }) => name === values.only)) {
  throw new Error(`--only: none of ${parts.map(({ name }) => name).join(", ")}: ${values.only}`);
}
const sharedFolder = mkdtempSync(join(values.folder, "vitrine-bench-disk-"));
const rows: Row[] = [HEAD];
try {
  for (const part of parts.filter(({ name }) => values.only === "" || name === values.only)) {
    for (const runtime of runtimesOf(values.runtime)) {
      const measured = await runPart(part, runtime, sharedFolder);
      for (const row of measured) console.error(row.join(" | "));
      rows.push(...measured);
    }
  }
} finally {
  rmSync(sharedFolder, { recursive: true, force: true });
}
const commit = execFileSync("git", ["-C", tree, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
const machine = `${cpus().length} cores, ${cpus()[0]?.model ?? "unknown processor"}, load average ${
  loadavg()[2]?.toFixed(1)
}`;
const turns = `${rounds} rounds of ${seconds} s`;
const text = `${machine}, commit ${commit}, ${turns}, ${new Date().toISOString().slice(0, 10)}\n\n${table(rows)}`;
console.log(text);
if (values.update) updateDocument(text);
process.exit();
