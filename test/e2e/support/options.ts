import process from "node:process";
import { parseArgs } from "node:util";
import type { RuntimeName } from "./server_process.ts";

/** What a suite was told on its command line. */
export interface SuiteOptions<Name extends string> {
  /** `--runtime bun`, `--runtime deno`; both by default. */
  readonly runtimes: readonly RuntimeName[];
  /** `--seed N`; by the clock if not given. */
  readonly seed: number;
  /** `--only NAME`: the one part of the suite to run; "" for all. */
  readonly only: string;
  /** A number of the suite's own: `--name N`, else its default. */
  number(name: Name): number;
}

function runtimesOf(value: string): readonly RuntimeName[] {
  if (value === "both") return ["bun", "deno"];
  if (value === "bun" || value === "deno") return [value];
  throw new Error(`--runtime: neither bun nor deno nor both: ${value}`);
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`--${name}: not a number: ${text}`);
  return value;
}

function onlyOf(value: string, parts: readonly string[]): string {
  if (value === "" || parts.includes(value)) return value;
  throw new Error(`--only: none of ${parts.join(", ")}: ${value}`);
}

/**
 * Reads the command line; `defaults` names the suite's own numbers, `only` the parts that `--only` may pick. Throws on
 * an unknown flag or a bad value.
 */
export function suiteOptions<Name extends string>(
  defaults: Readonly<Record<Name, number>>,
  { only = [] }: { readonly only?: readonly string[] } = {},
): SuiteOptions<Name> {
  const known = { runtime: "both", seed: String(Date.now() % 1_000_000), only: "", ...defaults };
  const flags = Object.entries<string | number>(known).map(([name, value]) =>
    [name, { type: "string", default: String(value) }] as const
  );
  const { values } = parseArgs({ args: process.argv.slice(2), options: Object.fromEntries(flags) });
  const number = (name: string) => numberOf(name, String(values[name]));
  return {
    runtimes: runtimesOf(String(values["runtime"])),
    seed: number("seed"),
    only: onlyOf(String(values["only"]), only),
    number,
  };
}
