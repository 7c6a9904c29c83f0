import { until } from "../support/until.ts";
import type { ToolProcess } from "./tool_process.ts";

/**
 * Waits until a GET of `url` is answered well. Throws with the program's output if it ends before, or takes longer than
 * 30 s.
 */
export async function untilAnswers(url: string, program: ToolProcess): Promise<void> {
  const ask = async () => {
    if (program.hasEnded) return false;
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok ?? false;
  };
  const isUp = await until(ask, (up) => up || program.hasEnded, { timeoutMs: 30_000 });
  if (!isUp) throw new Error(`start: no answer from ${url}: ${program.output.slice(-4000)}`);
}
