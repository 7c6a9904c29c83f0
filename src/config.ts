import { isIP, isIPv6 } from "node:net";
import { ConfigError, readSettings, type SettingSources } from "./config/setting_sources.ts";
import { badValue, helpText, parseSettings, settingNames, type Settings } from "./config/settings.ts";
import { redactUrl } from "./config/value_format.ts";
import { causeText } from "./core/errors.ts";

const mib = 1024 ** 2;

/** The sources of the settings, and the facts that resolve `auto`. */
export interface ConfigSources extends SettingSources {
  readonly memoryLimitBytes: number;
  readonly cpuCount: number;
  readonly version: string;
  /** Throws if the URLs of the tiers are wrong for this number of workers (default: accepts all). */
  readonly checkTiers?: (urls: readonly string[], workers: number) => void;
}

/**
 * Every setting with its effective value. `l2`, `tokens` and `s3Key` may hold secrets: use publicConfig to show them.
 */
export type Config = Readonly<ReturnType<typeof resolve>>;

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(Math.floor(value), min), max);
}

function orElse(value: number | "auto", auto: number): number {
  return value === "auto" ? auto : value;
}

/** Replaces `auto` by numbers, and adds units to the names. */
function resolve(settings: Settings, { memoryLimitBytes, cpuCount }: ConfigSources) {
  const {
    workerTimeout,
    l1Size,
    l1AdmissionLimit,
    l1ReadLease,
    l1WriteLease,
    l2Timeout,
    scrubRate,
    maxObject,
    maxUpload,
    transferTimeout,
    storeQueueAge,
    idleTimeout,
    sizedBodyMemory,
    shutdownTimeout,
    requestLog,
    eventQueue,
    ...unchanged
  } = settings;
  const quarterMib = Math.floor(memoryLimitBytes / 4 / mib);
  const l1SizeBytes = orElse(l1Size, mib * clamp(quarterMib, 1, 4096));
  const hasTokens = settings.tokensFile.path !== undefined || settings.tokens.secret !== undefined ||
    settings.jwksUrl.url !== undefined;
  return {
    ...unchanged,
    workers: orElse(settings.workers, Math.min(64, cpuCount)),
    workerTimeoutMs: workerTimeout,
    l1SizeBytes,
    l1MaxObjects: orElse(settings.l1MaxObjects, clamp(l1SizeBytes / 4096, 1024, 4_194_304)),
    l1AdmissionLimitBytes: orElse(l1AdmissionLimit, Math.floor(l1SizeBytes / 8)),
    l1ReadLeaseMs: l1ReadLease,
    l1WriteLeaseMs: l1WriteLease,
    /** 0: calls to a tier never time out. */
    l2TimeoutMs: l2Timeout,
    /** 0: nothing is scrubbed. */
    scrubBytesPerSecond: scrubRate,
    maxObjectBytes: maxObject,
    /** 0: no limit. */
    maxUploadBytes: maxUpload,
    /** 0: no body is too slow. */
    transferTimeoutMs: transferTimeout,
    storeQueueBytes: orElse(settings.storeQueueBytes, Math.floor(l1SizeBytes / 4)),
    storeQueueAgeMs: storeQueueAge,
    idleTimeoutMs: idleTimeout,
    sizedBodyBytes: sizedBodyMemory,
    shutdownTimeoutMs: shutdownTimeout,
    /**
     * Names allowed in Host besides localhost and addresses; `*.` before a name allows every name below it, `*` any
     * name. With tokens the default is `*`, because a page that rebinds its own name to this server has no token.
     */
    allowedHosts: hasTokens && settings.allowedHosts.length === 0 ? ["*"] : [
      settings.host,
      ...settings.allowedHosts,
      ...settings.s3Hosts.flatMap(({ name, bucket }) => bucket === undefined ? [name, `*.${name}`] : [name]),
    ],
    /** At most one of tokensFile and tokens is set. */
    tokensFile: settings.tokensFile.path,
    tokens: settings.tokens.secret,
    /** A path; undefined: quotas are not kept; "auto": in the folder of the first file tier. */
    quotasFile: settings.quotasFile === "auto" ? "auto" as const : settings.quotasFile.path,
    /** Both or none of tlsCert and tlsKey are set. */
    tlsCert: settings.tlsCert.path,
    tlsKey: settings.tlsKey.path,
    s3Key: settings.s3Key.secret,
    jwksUrl: settings.jwksUrl.url,
    jwtIssuer: settings.jwtIssuer.text,
    jwtAudience: settings.jwtAudience.text,
    jwtTenantClaim: settings.jwtTenantClaim.text,
    /** True if any source of tokens is set: every client then needs a token. */
    hasTokens,
    tenantLabels: hasTokens && settings.metricsAccess === "open" ? 0 : settings.tenantLabels,
    requestLogPath: requestLog.path,
    eventQueueEntries: eventQueue,
  };
}

/** Throws ConfigError for values that contradict each other. */
function checkTogether(config: Config): Config {
  if (config.l1LowWatermark >= config.l1HighWatermark) {
    throw new ConfigError(
      `l1LowWatermark is not below l1HighWatermark: ${config.l1LowWatermark}, ${config.l1HighWatermark}`,
    );
  }
  if (config.l1AdmissionLimitBytes > config.l1SizeBytes) {
    throw new ConfigError(`l1AdmissionLimit is above l1Size: ${config.l1AdmissionLimitBytes}, ${config.l1SizeBytes}`);
  }
  if (config.port === config.adminPort && config.port !== 0) {
    throw new ConfigError(`port and adminPort are the same: ${config.port}`);
  }
  if (config.write === "through" && config.l2.length === 0) {
    throw new ConfigError("write through needs a tier: l2 is none");
  }
  if (config.maxUploadBytes !== 0 && config.maxUploadBytes < config.maxObjectBytes) {
    throw new ConfigError(`maxUpload is below maxObject: ${config.maxUploadBytes}, ${config.maxObjectBytes}`);
  }
  if (config.tokensFile !== undefined && config.tokens !== undefined) {
    throw new ConfigError("tokensFile and tokens are both set: use one of them");
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    throw new ConfigError("one of tlsCert and tlsKey is set without the other");
  }
  if (config.jwksUrl !== undefined && (config.jwtIssuer === undefined || config.jwtAudience === undefined)) {
    throw new ConfigError(
      "jwksUrl is set without jwtIssuer and jwtAudience: tokens for other services would be accepted",
    );
  }
  if (!config.hasTokens && !config.insecureOpen && isExposed(config)) {
    throw new ConfigError(
      `host is reachable from other machines, and no tokens are configured: ${config.host}: create a token (token create) and pass its file with --tokens-file, or pass --insecure-open`,
    );
  }
  return config;
}

/**
 * Loads the settings from flags, variables and the file, in this order of precedence; or returns the text that a flag
 * asks for. Throws ConfigError, whose message is one line, for anything unknown or bad.
 */
export function loadConfig(sources: ConfigSources): { readonly config: Config } | { readonly text: string } {
  const { asked, settings } = readSettings(sources, settingNames());
  if (asked === "help") return { text: helpText() };
  if (asked === "version") return { text: sources.version };
  const config = checkTogether(resolve(parseSettings(settings), sources));
  try {
    sources.checkTiers?.(config.l2, config.workers);
  } catch (error) {
    throw badValue("l2", settings, causeText(error));
  }
  return { config };
}

/** The settings with passwords and other secrets masked. */
export function publicConfig(config: Config): Config {
  const tokens = config.tokens === undefined ? undefined : "***";
  const s3Key = config.s3Key === undefined ? undefined : "***";
  return { ...config, l2: config.l2.map(redactUrl), tokens, s3Key };
}

/** True unless the host is the loopback, judged by its name or address alone. */
export function isExposed({ host }: Pick<Config, "host">): boolean {
  if (isIP(host) === 0) return host !== "localhost" && !host.endsWith(".localhost");
  return isIPv6(host) ? !/^(?:0*:)*:?0*1$|^::ffff:127\./i.test(host) : !host.startsWith("127.");
}

/** The part of the start line that says who has access. */
export function accessText(config: Pick<Config, "host" | "hasTokens">): string {
  if (config.hasTokens) return " access=tokens";
  if (!isExposed(config)) return " access=open (no tokens; reachable from this machine only)";
  return ` access=open (warning: no tokens, and ${config.host} is reachable from other machines: anyone who can reach it may read, write and delete every object)`;
}
