import { readFile } from "node:fs/promises";
import { every } from "../core/timers.ts";
import { Access } from "../access/access.ts";
import { type FailureMemory, FailureTable } from "../access/failure_table.ts";
import { TokenFile } from "../access/token_file.ts";
import { parseTokens, type TokenEntry } from "../access/token_entry.ts";
import { type Config, isExposed } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { AdminOptions } from "../../routes/app.ts";
import { causeText } from "../core/errors.ts";

/** Interval at which the file is checked. */
const LOOK_MS = 1000;

/** Options of openAccess. */
export interface OpenAccessOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Called with read failures if observability is off. */
  readonly reportError: (error: unknown) => void;
}

/** The access control of a server. */
export interface OpenAccess {
  /** For this thread. */
  readonly access: Access;
  /** The start data of every other thread that serves. */
  readonly shared: () => { readonly tokens: readonly TokenEntry[] | undefined; readonly failures: FailureMemory };
  /** Watches the token file. `onTokens`: passes changed tokens to the other threads. */
  watch(onTokens?: (tokens: readonly TokenEntry[]) => void): void;
  close(): void;
}

/** Reads the configured tokens. Rejects with VitrineError (bad_request) if they are invalid. */
export async function openAccess(
  config: Config,
  { publish, clock, reportError }: OpenAccessOptions,
): Promise<OpenAccess> {
  let tell = (_tokens: readonly TokenEntry[]): void => {};
  const file = config.tokensFile === undefined ? undefined : new TokenFile({
    path: config.tokensFile,
    read: (path) => readFile(path, "utf8"),
    onTokens(changed) {
      tokens = changed;
      access.replace(changed);
      tell(changed);
      publish("access.tokens.changed", { outcome: "loaded", tokens: changed.length });
    },
    onFailure(error) {
      publish("access.tokens.changed", { outcome: "failed", tokens: 0, error: causeText(error) });
      if (!config.observability) reportError(error);
    },
  });
  let tokens = config.tokens === undefined ? await file?.load() : parseTokens(config.tokens, "the setting tokens");
  const failures = FailureTable.allocate(crypto.getRandomValues(new Int32Array(1))[0] ?? 0);
  const access = new Access(tokens, new FailureTable(failures, clock));
  let stopLooking = () => {};
  return {
    access,
    shared: () => ({ tokens, failures }),
    watch(onTokens = () => {}) {
      if (file === undefined) return;
      tell = onTokens;
      stopLooking = every(LOOK_MS, () => void file.poll());
    },
    close: () => stopLooking(),
  };
}

/** The settings of the routes' access control. */
export function accessOptions(
  config: Config,
): Pick<AdminOptions, "allowedHosts" | "corsOrigins" | "isExposed" | "metricsAreOpen"> {
  return {
    allowedHosts: config.allowedHosts,
    corsOrigins: config.corsOrigins,
    isExposed: isExposed(config),
    metricsAreOpen: config.metricsAccess === "open",
  };
}
