import { isIP, isIPv6 } from "node:net";
import { ConfigError } from "./config/config_error.ts";
import { redactUrl } from "./config/redact_url.ts";
import { readSettings, type SettingSources } from "./config/setting_sources.ts";
import { badValue, helpText, parseSettings, settingNames, type Settings } from "./config/settings.ts";
import { causeText } from "./core/errors.ts";

const mib = 1024 ** 2;

/** Where settings come from, and what `auto` goes by. */
export interface ConfigSources extends SettingSources {
  readonly memoryLimitBytes: number;
  readonly cpuCount: number;
  readonly version: string;
  /** Throws an error that says what is wrong with the URLs of the tiers for so many workers (default: nothing is). */
  readonly checkTiers?: (urls: readonly string[], workers: number) => void;
}

/** Every setting with its effective value. `l2` and `tokens` may hold secrets: show them through publicConfig. */
export type Config = Readonly<ReturnType<typeof resolve>>;

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(Math.floor(value), min), max);
}

function orElse(value: number | "auto", auto: number): number {
  return value === "auto" ? auto : value;
}

/** Puts numbers where settings say `auto`, and units into the names. */
function resolve(settings: Settings, { memoryLimitBytes, cpuCount }: ConfigSources) {
  const {
    workerTimeout,
    l1Size,
    l1AdmissionLimit,
    l1ReadLease,
    l1WriteLease,
    l2Timeout,
    maxObject,
    idleTimeout,
    shutdownTimeout,
    requestLog,
    eventQueue,
    ...unchanged
  } = settings;
  const quarterMib = Math.floor(memoryLimitBytes / 4 / mib);
  const l1SizeBytes = orElse(l1Size, mib * clamp(quarterMib, 1, 4096));
  const hasTokens = settings.tokensFile.path !== undefined || settings.tokens.secret !== undefined;
  return {
    ...unchanged,
    workers: orElse(settings.workers, Math.min(64, cpuCount)),
    workerTimeoutMs: workerTimeout,
    l1SizeBytes,
    l1MaxObjects: orElse(settings.l1MaxObjects, clamp(l1SizeBytes / 4096, 1024, 4_194_304)),
    l1AdmissionLimitBytes: orElse(l1AdmissionLimit, Math.floor(l1SizeBytes / 8)),
    l1ReadLeaseMs: l1ReadLease,
    l1WriteLeaseMs: l1WriteLease,
    /** 0: a tier is waited for as long as it takes. */
    l2TimeoutMs: l2Timeout,
    maxObjectBytes: maxObject,
    storeQueueBytes: orElse(settings.storeQueueBytes, Math.floor(l1SizeBytes / 4)),
    idleTimeoutMs: idleTimeout,
    shutdownTimeoutMs: shutdownTimeout,
    /**
     * What may stand in Host beside localhost and addresses; `*.` before a name: all below it; `*`: every name. Where
     * there are tokens every name may, by default: a page that had its own name point here has no token.
     */
    allowedHosts: hasTokens && settings.allowedHosts.length === 0 ? ["*"] : [settings.host, ...settings.allowedHosts],
    /** One of the two at most is there. */
    tokensFile: settings.tokensFile.path,
    tokens: settings.tokens.secret,
    /** Nobody gets in without a token then. */
    hasTokens,
    tenantLabels: hasTokens && settings.metricsAccess === "open" ? 0 : settings.tenantLabels,
    requestLogPath: requestLog.path,
    eventQueueEntries: eventQueue,
  };
}

/** Refuses settings that are good alone and bad together. */
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
  if (config.tokensFile !== undefined && config.tokens !== undefined) {
    throw new ConfigError("tokensFile and tokens are both set: one of them is enough");
  }
  if (!config.hasTokens && !config.insecureOpen && isExposed(config)) {
    throw new ConfigError(
      `host is more than this machine's loopback, and there are no tokens: ${config.host}: make one (token create) and name it with --tokens-file, or say --insecure-open`,
    );
  }
  return config;
}

/**
 * The settings from flags, variables and file, in this order of precedence, or the text a flag asked for.
 * Throws ConfigError, its message one line, for anything unknown or bad.
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

/** The settings fit to be shown: no passwords and no secrets. */
export function publicConfig(config: Config): Config {
  const tokens = config.tokens === undefined ? undefined : "***";
  return { ...config, l2: config.l2.map(redactUrl), tokens };
}

/** Whether others than this machine may reach a host, as far as its name says. */
export function isExposed({ host }: Pick<Config, "host">): boolean {
  if (isIP(host) === 0) return host !== "localhost" && !host.endsWith(".localhost");
  return isIPv6(host) ? !/^(?:0*:)*:?0*1$|^::ffff:127\./i.test(host) : !host.startsWith("127.");
}

/** What the start line says of who may do what. */
export function accessText(config: Pick<Config, "host" | "hasTokens">): string {
  if (config.hasTokens) return " access=tokens";
  if (!isExposed(config)) return " access=open (no tokens: this machine's loopback alone)";
  return ` access=open (warning: no tokens, and ${config.host} is more than this machine's loopback: whoever reaches it may read, write and remove every object)`;
}
