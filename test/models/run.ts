/**
 * Checks the models of the lock, the leases and the hits exhaustively with spin, and that spin finds each fault that
 * can be put into them. `bun run model` prints `model: N passed, N failed` at the end. Needs spin and gcc; installs
 * them where apt-get can.
 */
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** One run of spin over a model. */
interface Check {
  readonly model: string;
  readonly defines: readonly string[];
  /** What must be found, where a fault was put in. */
  readonly finds?: RegExp;
}

const lock = "l1_lock.pml";
const lease = "l1_lease.pml";
const hit = "l1_hit.pml";
const assertion = /assertion violated/;

const checks: readonly Check[] = [
  { model: lock, defines: [] },
  { model: lock, defines: ["TIMEOUTS", "DEATH"] },
  { model: lock, defines: ["TIMEOUTS", "ZOMBIE"] },
  { model: lock, defines: ["TIMEOUTS", "DEATH", "LIVE", "WORKERS=2"] },
  { model: lock, defines: ["TIMEOUTS", "ZOMBIE", "LIVE", "WORKERS=2"] },
  { model: lock, defines: ["BUG_SLEEP_BLINDLY"], finds: /invalid end state/ },
  { model: lock, defines: ["TIMEOUTS", "ZOMBIE", "BUG_NO_FENCE"], finds: assertion },
  { model: lock, defines: ["TIMEOUTS", "ZOMBIE", "BUG_STEAL_AT_ONCE"], finds: assertion },
  { model: lock, defines: ["TIMEOUTS", "ZOMBIE", "BUG_RELEASE_BLINDLY"], finds: assertion },
  { model: lock, defines: ["TIMEOUTS", "DEATH", "BUG_NO_REPAIR"], finds: assertion },
  { model: lock, defines: ["TIMEOUTS", "DEATH", "BUG_NO_TAKE_OVER"], finds: assertion },
  { model: lease, defines: [] },
  { model: lease, defines: ["BUG_NO_GENERATION"], finds: assertion },
  { model: lease, defines: ["BUG_FREE_WHILE_READ"], finds: assertion },
  { model: lease, defines: ["BUG_LATE_ADMISSION"], finds: assertion },
  { model: lease, defines: ["BUG_LATE_WRITE"], finds: assertion },
  { model: lease, defines: ["BUG_DEAD_KEEPS"], finds: assertion },
  { model: hit, defines: [] },
  { model: hit, defines: ["ZOMBIE"] },
  { model: hit, defines: ["BUG_CHECK_FIRST"], finds: assertion },
  { model: hit, defines: ["BUG_NO_PIN"], finds: assertion },
  { model: hit, defines: ["BUG_PIN_FIRST"], finds: assertion },
  { model: hit, defines: ["BUG_BLIND_REPAIR"], finds: assertion },
  { model: hit, defines: ["BUG_NOT_LINKED"], finds: assertion },
  { model: hit, defines: ["BUG_DEAD_KEEPS"], finds: assertion },
  { model: hit, defines: ["ZOMBIE", "BUG_NOT_DISOWNED"], finds: assertion },
  { model: hit, defines: ["ZOMBIE", "BUG_HITS_ON"], finds: assertion },
];

function run(command: string, args: readonly string[], cwd?: string): SpawnSyncReturns<string> {
  return spawnSync(command, args, { encoding: "utf8", ...(cwd === undefined ? {} : { cwd }) });
}

function must(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = run(command, args, cwd);
  if (status !== 0) throw new Error(`run ${command} ${args.join(" ")}: ${error?.message ?? stdout + stderr}`);
  return stdout;
}

function installSpin(): void {
  if (run("spin", ["-V"]).status === 0 && run("gcc", ["--version"]).status === 0) return;
  must("apt-get", ["update", "-q"]);
  must("apt-get", ["install", "-y", "-q", "spin", "gcc", "libc6-dev"]);
}

/** What the check found: the whole report of the search. */
function search({ model, defines }: Check): string {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-model-"));
  const isLive = defines.includes("LIVE");
  try {
    copyFileSync(join(import.meta.dirname, model), join(folder, model));
    must("spin", [...defines.map((define) => `-D${define}`), "-a", model], folder);
    const mode = isLive ? [] : ["-DSAFETY"];
    must("gcc", ["-O2", "-w", "-DCOLLAPSE", "-DVECTORSZ=2048", ...mode, "-o", "pan", "pan.c"], folder);
    return must(join(folder, "pan"), ["-m1000000", "-n", ...(isLive ? ["-a", "-f"] : [])], folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether the check ended as it must: all states seen and no fault, or the fault that was put in. */
function passes(check: Check, report: string): boolean {
  const [, errors] = /errors: (\d+)/.exec(report) ?? [];
  const isCut = /max search depth too small|out of memory/.test(report);
  return check.finds === undefined ? errors === "0" && !isCut : errors === "1" && check.finds.test(report);
}

installSpin();
let passed = 0;
for (const check of checks) {
  const report = search(check);
  const isRight = passes(check, report);
  if (isRight) passed++;
  const [, states] = /(\d+) states, stored/.exec(report) ?? [];
  const outcome = check.finds === undefined ? "holds" : "fault found";
  console.log(`${isRight ? "ok" : "NOT OK"} ${check.model} ${check.defines.join(" ")}: ${outcome}, ${states} states`);
  if (!isRight) console.log(report);
}
console.log(`model: ${passed} passed, ${checks.length - passed} failed`);
process.exitCode = passed === checks.length ? 0 : 1;
