import type { Config } from "../config.ts";
import type { Runtime, Server } from "../runtime/runtime.ts";

/** Options of a server. */
export interface ServerOptions {
  readonly config: Config;
  readonly version: string;
  /** Where the standard OTEL_* variables are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called with failures that no response can report. */
  readonly reportError: (error: unknown) => void;
}

/** A running server. */
export interface RunningServer {
  readonly address: Server["address"];
  /** Finishes running requests, stores dirty objects and delivers published events. */
  stop(): Promise<void>;
}

/** The runtime's name and version, e.g. "bun 1.4.5". */
export function runtimeName({ name, version }: Runtime): string {
  return `${name} ${version}`;
}

/** The state that decides about traffic. */
interface Unreadiness {
  /** True between the end of the start and the beginning of the stop. */
  readonly isServing: boolean;
  /** Why the storage thread or the file thread does not work; undefined if they do. */
  readonly outage: string | undefined;
  readonly hasTrouble: boolean;
}

/** The reason for refusing traffic, for /readyz; undefined if ready. */
export function unready({ isServing, outage, hasTrouble }: Unreadiness): string | undefined {
  if (!isServing) return "starting or stopping";
  if (outage !== undefined) return outage;
  return hasTrouble ? "a tier cannot be used" : undefined;
}
