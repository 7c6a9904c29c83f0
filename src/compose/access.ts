import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import type { AdminOptions } from "../../routes/app_options.ts";
import { Access } from "../access/access.ts";
import { ClientAddress } from "../access/client_address.ts";
import { type FailureMemory, FailureTable } from "../access/failure_table.ts";
import { JwtVerifier, RemoteKeys } from "../access/jwt.ts";
import { type LimitMemory, Limits, LimitTable } from "../access/limits.ts";
import { parseTokens, type TokenEntry } from "../access/tokens.ts";
import { type Config, isExposed } from "../config.ts";
import { type Clock, every } from "../core/clock.ts";
import { causeText, VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { PolledFile } from "../core/polled_file.ts";
import type { EventMap } from "../events/catalogue.ts";

/** Interval at which the file is checked. */
const LOOK_MS = 1000;

/** Options of openAccess. */
export interface OpenAccessOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Number of threads that may serve at the same time. */
  readonly slots: number;
  /** Called with read failures if observability is off. */
  readonly reportError: (error: unknown) => void;
}

/** The state of the access control that all threads share. */
export interface SharedAccess {
  readonly tokens: readonly TokenEntry[] | undefined;
  readonly failures: FailureMemory;
  readonly limits: LimitMemory;
}

/** The access control of a server. */
export interface OpenAccess {
  /** For this thread. */
  readonly access: Access;
  /** The start data of every other thread that serves. */
  readonly shared: () => SharedAccess;
  /** Watches the token file. `onTokens`: passes changed tokens to the other threads. */
  watch(onTokens?: (tokens: readonly TokenEntry[]) => void): void;
  close(): void;
}

/** Reads the configured tokens. Rejects with VitrineError (bad_request) if they are invalid. */
export async function openAccess(
  config: Config,
  { publish, clock, slots, reportError }: OpenAccessOptions,
): Promise<OpenAccess> {
  let tell = (_tokens: readonly TokenEntry[]): void => {};
  const { tokensFile } = config;
  const file = tokensFile === undefined ? undefined : new PolledFile({
    name: `tokens from ${tokensFile}`,
    read: () => readFile(tokensFile, "utf8"),
    parse: (text) => checkKeyPairs(parseTokens(text, tokensFile), config),
    onChange(changed) {
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
  let tokens = config.tokens === undefined
    ? await file?.load()
    : checkKeyPairs(parseTokens(config.tokens, "the setting tokens"), config);
  const [seed = 0, limitSeed = 0] = crypto.getRandomValues(new Int32Array(2));
  const failures = FailureTable.allocate(seed);
  const limits = LimitTable.allocate(slots, limitSeed);
  const jwt = openJwt(config, { publish, clock, reportError, onKeys: () => access.forget() });
  const access: Access = new Access(tokens, new FailureTable(failures, clock), { jwt, s3Key: config.s3Key });
  let stopLooking = () => {};
  return {
    access,
    shared: () => ({ tokens, failures, limits }),
    watch(onTokens = () => {}) {
      if (file === undefined) return;
      tell = onTokens;
      stopLooking = every(LOOK_MS, () => void file.poll());
    },
    close: () => stopLooking(),
  };
}

/** Throws VitrineError (bad_request) if there are key pairs and no key from which their secrets are derived. */
function checkKeyPairs(tokens: readonly TokenEntry[], { s3Key }: Config): readonly TokenEntry[] {
  const pair = tokens.find(({ s3 }) => s3 !== undefined);
  if (pair === undefined || s3Key !== undefined) return tokens;
  throw new VitrineError("bad_request", `read tokens: the setting s3-key is needed for the key pair ${pair.id}`);
}

/** The limits on the requests of one thread; undefined if there are none. */
export function openLimits(
  config: Config,
  { memory, slot, clock }: { readonly memory: LimitMemory; readonly slot: number; readonly clock: Clock },
): Limits | undefined {
  const { maxRequests, maxTenantRequests, tenantRate, maxUploadBytes } = config;
  if (maxRequests + maxTenantRequests + tenantRate + maxUploadBytes === 0) return undefined;
  return new Limits(config, new LimitTable(memory, slot), clock);
}

/** The settings of the routes' access control. */
export function accessOptions(
  config: Config,
): Pick<AdminOptions, "allowedHosts" | "clientAddress" | "corsOrigins" | "isExposed" | "metricsAreOpen"> {
  return {
    allowedHosts: config.allowedHosts,
    clientAddress: new ClientAddress(config),
    corsOrigins: config.corsOrigins,
    isExposed: isExposed(config),
    metricsAreOpen: config.metricsAccess === "open",
  };
}

/** Interval at which the keys are loaded anew. */
const REFRESH_MS = 5 * 60_000;
const TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;

/** Options of openJwt. */
export interface OpenJwtOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Called when the keys have changed. */
  readonly onKeys: () => void;
  /** Called with failures to load the keys if observability is off. */
  readonly reportError: (error: unknown) => void;
}

/** A JWT verifier for this thread, which loads the keys in the background; undefined if JWTs are not configured. */
export function openJwt(
  config: Config,
  { publish, clock, onKeys, reportError }: OpenJwtOptions,
): JwtVerifier | undefined {
  const { jwksUrl, jwtIssuer, jwtAudience } = config;
  if (jwksUrl === undefined || jwtIssuer === undefined || jwtAudience === undefined) return undefined;
  const keys = new RemoteKeys({
    read: () => readText(jwksUrl),
    nowMs: () => clock.monotonicMs(),
    onLoad(load) {
      if (load.outcome === "loaded") {
        onKeys();
        publish("access.keys.changed", load);
      } else {
        const error = `load keys of JWTs from ${jwksUrl}: ${causeText(load.error)}`;
        publish("access.keys.changed", { outcome: "failed", keys: 0, error });
        if (!config.observability) reportError(new Error(error));
      }
    },
  });
  void keys.load();
  every(REFRESH_MS, () => void keys.load());
  return new JwtVerifier({
    settings: {
      issuer: jwtIssuer,
      audience: jwtAudience,
      tenantClaim: config.jwtTenantClaim,
      scopeClaim: config.jwtScopeClaim,
      defaultScopes: config.jwtScopes,
    },
    keyOf: keys.keyOf,
    nowMs: () => clock.nowMs(),
  });
}

/** Reads a small text. A redirection is an error, because it could lead to a URL that is not protected. */
async function readText(url: string): Promise<string> {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`read ${url}: status ${response.status}`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`read ${url}: longer than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
