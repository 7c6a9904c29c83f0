import type { Server } from "../runtime/runtime.ts";
import type { Config } from "../config.ts";

/** What a server is started with. */
export interface ServerOptions {
  readonly config: Config;
  readonly version: string;
  /** Where the standard OTEL_* variables are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of failures that no response can report. */
  readonly reportError: (error: unknown) => void;
}

/** A server that answers. */
export interface RunningServer {
  readonly address: Server["address"];
  /** Finishes running requests, stores what is queued, delivers what was published. */
  stop(): Promise<void>;
}
