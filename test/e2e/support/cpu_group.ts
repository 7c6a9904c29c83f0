import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import process from "node:process";

const PERIOD_US = 100_000;

/** A control group with a quota of processor time, of version 2 or 1. Wants root and Linux, and throws without. */
export class CpuGroup {
  readonly #folder: string;
  readonly #isUnified: boolean;
  readonly #busy: ChildProcess[] = [];

  constructor(name: string) {
    const unified = "/sys/fs/cgroup/cgroup.controllers";
    this.#isUnified = existsSync(unified) && readFileSync(unified, "utf8").split(/\s+/).includes("cpu");
    if (this.#isUnified) writeFileSync("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
    this.#folder = `/sys/fs/cgroup/${this.#isUnified ? "" : "cpu/"}vitrine-${process.pid}-${name}`;
    mkdirSync(this.#folder);
  }

  /** A command before another that puts it into the group. */
  get prefix(): readonly [string, ...string[]] {
    return ["sh", "-c", `echo $$ > ${this.#folder}/cgroup.procs && exec "$@"`, "sh"];
  }

  /** Limits the share of one core that its processes get together; undefined removes the limit. */
  limit(cores: number | undefined): void {
    const quotaUs = cores === undefined ? undefined : Math.round(cores * PERIOD_US);
    if (this.#isUnified) writeFileSync(`${this.#folder}/cpu.max`, `${quotaUs ?? "max"} ${PERIOD_US}`);
    else writeFileSync(`${this.#folder}/cpu.cfs_quota_us`, String(quotaUs ?? -1));
  }

  /** Starts processes in the group that do nothing but run. */
  burn(processes: number): void {
    const [command, ...args] = [...this.prefix, "sh", "-c", "while :; do :; done"];
    for (let started = 0; started < processes; started++) {
      const child = spawn(command, args, { stdio: "ignore" });
      process.once("exit", () => child.kill("SIGKILL"));
      this.#busy.push(child);
    }
  }

  /** Ends what `burn` started. */
  async calm(): Promise<void> {
    await Promise.all(
      this.#busy.splice(0).map((child) =>
        new Promise<void>((resolve) => {
          child.once("exit", () => resolve());
          child.kill("SIGKILL");
        })
      ),
    );
  }

  /** Removes the group, once nothing runs in it any more. */
  close(): void {
    rmdirSync(this.#folder);
  }
}
