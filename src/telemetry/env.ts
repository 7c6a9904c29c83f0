/** The environment, as a record. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A value that cannot be used, and its replacement. */
export interface EnvProblem {
  readonly variable: string;
  /** Without secrets. */
  readonly value: string;
  readonly used: string;
}

/** The maximum of timers in both runtimes. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_VALUE_CHARS = 200;

/**
 * The standard OTEL_* variables. As the OpenTelemetry specification asks, an invalid value counts as not set; it is
 * recorded once per variable. An empty value also counts as not set.
 */
export class OtelEnv {
  readonly #env: Env;
  readonly #problems = new Map<string, EnvProblem>();

  constructor(env: Env) {
    this.#env = env;
  }

  /** The invalid values among those read so far. */
  get problems(): readonly EnvProblem[] {
    return [...this.#problems.values()];
  }

  /** The names of the variables that are set. */
  names(): readonly string[] {
    return Object.keys(this.#env).filter((name) => this.text(name) !== undefined);
  }

  /** The value without surrounding space. */
  text(variable: string): string | undefined {
    const text = this.#env[variable]?.trim();
    return text === "" ? undefined : text;
  }

  /** A whole number of at least 1. */
  number(variable: string, instead: number): number {
    const text = this.text(variable);
    if (text === undefined) return instead;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= MAX_TIMER_MS) return value;
    this.cannotUse(variable, String(instead));
    return instead;
  }

  oneOf<const Choice extends string>(
    variable: string,
    choices: readonly Choice[],
    instead: string,
  ): Choice | undefined {
    const text = this.text(variable);
    const choice = choices.find((each) => each === text);
    if (text !== undefined && choice === undefined) this.cannotUse(variable, instead);
    return choice;
  }

  /** Records that a value is not used. `shown`: the value to show. Default: the value itself. */
  cannotUse(variable: string, used: string, shown: string = this.text(variable) ?? ""): void {
    if (this.#problems.has(variable)) return;
    const value = shown.replace(/\/\/[^/\s@]*@/g, "//***@").slice(0, MAX_VALUE_CHARS);
    this.#problems.set(variable, { variable, value, used });
  }
}
