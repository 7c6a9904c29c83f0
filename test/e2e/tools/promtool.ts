import { spawnSync } from "node:child_process";
import { prometheusProgram } from "./prometheus.ts";

/** Runs promtool; what it printed, and whether it was content. */
export function promtool(args: readonly string[], input = ""): { readonly ok: boolean; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(prometheusProgram("promtool"), args, { encoding: "utf8", input });
  return { ok: status === 0, output: `${stdout}${stderr}` };
}
