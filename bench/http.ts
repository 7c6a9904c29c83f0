/**
 * Vitrine against bare servers and nginx: each server on one core, wrk on the other, rounds interleaved.
 * `bun run bench [--rounds N] [--seconds N] [--only GET] [--update]`; --update writes the tables into
 * docs/BENCHMARKS.md.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { type BenchCase, cases, type Contender, contendersOf, needsToken } from "./support/cases.ts";
import { type CaseRates, countsBytes, report } from "./support/report.ts";
import { AUTHORIZATION, startContenders } from "./support/start_contenders.ts";
import { ensureTools } from "./support/tools.ts";
import { runWrk } from "./support/wrk.ts";

const documentPath = "docs/BENCHMARKS.md";
const serverCore = 0;
const clientCore = 1;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    update: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

async function measure(bench: BenchCase, ports: Readonly<Record<Contender, number>>): Promise<CaseRates> {
  const { method, path, keys, connections } = bench;
  const sendBytes = method === "PUT" ? bench.sizeBytes : 0;
  const taking = contendersOf(bench);
  const rates = new Map<Contender, number[]>(taking.map((contender) => [contender, []]));
  // Round 0 warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const contender of taking) {
      const authorization = needsToken(contender) ? AUTHORIZATION : undefined;
      const load = { port: ports[contender], method, path, keys, sendBytes, connections, seconds, authorization };
      const { requestsPerSecond, bytesPerSecond } = await runWrk(load, clientCore);
      if (round > 0) rates.get(contender)?.push(countsBytes(bench) ? bytesPerSecond : requestsPerSecond);
    }
  }
  return rates;
}

function updateDocument(text: string): void {
  const marked = /(?<=<!-- bench:start -->\n).*(?=<!-- bench:end -->)/s;
  writeFileSync(documentPath, readFileSync(documentPath, "utf8").replace(marked, () => `\n${text}\n\n`));
}

ensureTools();
if (cpus().length < 2) throw new Error("bench: needs two cores");
const folder = mkdtempSync("/dev/shm/vitrine-bench-");
try {
  const ports = await startContenders(cases, { core: serverCore, folder });
  const results = new Map<BenchCase, CaseRates>();
  for (const bench of cases.filter(({ name }) => name.startsWith(values.only))) {
    results.set(bench, await measure(bench, ports));
    console.error(`measured: ${bench.name}`);
  }
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${rounds} rounds of ${seconds} s, ${date}`;
  const text = `${machine}\n\n${report(results)}`;
  console.log(text);
  if (values.update) updateDocument(text);
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(0);
