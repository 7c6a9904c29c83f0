import { isDeepStrictEqual } from "node:util";
import { inspect } from "node:util";

/** Counts what held and prints what did not; the suites' way to say how they ended. */
export class Checks {
  readonly #title: string;
  #passed = 0;
  #failed = 0;

  constructor(title: string) {
    this.#title = title;
  }

  get failed(): number {
    return this.#failed;
  }

  /** `actual` must equal `expected`, deeply. */
  equal(name: string, { actual, expected }: { readonly actual: unknown; readonly expected: unknown }): void {
    this.that(name, isDeepStrictEqual(actual, expected), () => `\n${difference(actual, expected)}`);
  }

  /** `holds` must be true; `detail` is asked only if it is not. */
  that(name: string, holds: boolean, detail: () => string = () => ""): void {
    if (holds) {
      this.#passed += 1;
      return;
    }
    this.#failed += 1;
    console.log(`FAILED ${this.#title}: ${name} ${detail()}`);
  }

  /** Prints the closing line. */
  report(): void {
    console.log(`${this.#title}: ${this.#passed} passed, ${this.#failed} failed`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Only the fields that differ, where both are records. */
function difference(actual: unknown, expected: unknown): string {
  if (!isRecord(actual) || !isRecord(expected)) return `  is ${inspect(actual)}, should be ${inspect(expected)}`;
  return Array.from(new Set([...Object.keys(actual), ...Object.keys(expected)]))
    .filter((name) => !isDeepStrictEqual(actual[name], expected[name]))
    .map((name) => `  ${name}: is ${inspect(actual[name])}, should be ${inspect(expected[name])}`).join("\n");
}
