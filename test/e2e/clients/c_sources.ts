import type { Target } from "./target.ts";

/** The names of the sources. */
export const C_SOURCES = ["one", "two", "three"];

/** Writes three small C files. */
export function writeCSources(target: Target): void {
  target.write(Object.fromEntries(
    C_SOURCES.map((name, i) => [`${name}.c`, `int ${name}(int x) { return x * ${i + 3} + ${i}; }\n`]),
  ));
}
