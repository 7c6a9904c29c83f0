import { bunRuntime } from "./bun.ts";
import { denoRuntime } from "./deno.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime this code runs on. */
export function currentRuntime(): Runtime {
  return "Bun" in globalThis ? bunRuntime() : denoRuntime();
}
