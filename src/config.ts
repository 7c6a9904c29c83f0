import * as v from "valibot";
import { ConfigError, shown } from "./config/config_error.ts";
import { isExposed } from "./config/exposure.ts";
import { redactUrl } from "./config/redact_url.ts";
import { causeText } from "./core/errors.ts";
import { helpText, type SettingDoc } from "./config/setting_docs.ts";
import { readSettings, type SettingSources, type WrittenSetting } from "./config/setting_sources.ts";
import {
  duration,
  hostNames,
  integer,
  nonEmpty,
  oneOf,
  orAuto,
  origins,
  pathOrNone,
  ratio,
  secretOrNone,
  size,
  urls,
  type ValueFormat,
} from "./config/value_format.ts";

const mib = 1024 ** 2;

/** A setting as the schema holds it: text in, value out, with its default and its sentence. */
function setting<T>(defaultText: string, sentence: string, format: ValueFormat<T>) {
  return v.pipe(
    v.optional(v.string(), defaultText),
    v.description(sentence),
    v.metadata({ expected: format.expected, secret: format.secret ?? false }),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = format.parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message: `expected ${format.expected}` });
      return NEVER;
    }),
  );
}

const schema = v.object({
  host: setting("127.0.0.1", "Address to listen on.", nonEmpty("an address or a host name")),
  port: setting("8080", "Port to listen on; 0 takes any free one.", integer(0, 65_535)),
  adminPort: setting("9090", "Port of metrics, health and status alone; 0 takes any free one.", integer(0, 65_535)),
  workers: setting("auto", "Threads that serve requests; auto is one for each core.", orAuto(integer(1, 64))),
  workerTimeout: setting(
    "5s",
    "How long a worker's event loop may stand still before it is replaced; waiting for a core is not counted.",
    duration("100ms", "1h"),
  ),
  l1Size: setting(
    "auto",
    "Memory for L1; auto is a quarter of the memory limit, at most 4GiB.",
    orAuto(size("1MiB")),
  ),
  l1Policy: setting("s3-fifo", "Which objects L1 evicts first.", oneOf(["s3-fifo", "lru"])),
  l1MaxObjects: setting(
    "auto",
    "Objects L1 holds at most; auto is one for each 4KiB of L1, from 1024 to 4194304.",
    orAuto(integer(1024, 4_194_304)),
  ),
  l1AdmissionLimit: setting(
    "auto",
    "Largest object L1 takes, larger ones stream to L2; auto is an eighth of L1.",
    orAuto(size("1KiB")),
  ),
  l1HighWatermark: setting("0.8", "Part of L1 in use above which it evicts.", ratio()),
  l1LowWatermark: setting("0.6", "Part of L1 in use down to which it evicts.", ratio()),
  l1ReadLease: setting("300s", "How long a reader may hold an object in L1.", duration("1s", "24h")),
  l1WriteLease: setting("600s", "How long a writer may hold unfinished memory in L1.", duration("1s", "24h")),
  l2: setting("file://./.vitrine", "Storage tiers behind L1, in the order they are asked.", urls()),
  l2Timeout: setting(
    "30s",
    "How long a tier may keep a call waiting before it is given up as failed; 0s for ever.",
    duration("0s", "1h"),
  ),
  write: setting(
    "back",
    "When a write is acknowledged: back, from L1, and stored behind; through, when the tiers have it.",
    oneOf(["back", "through"]),
  ),
  maxObject: setting("64GiB", "Largest object that is accepted.", size("1KiB")),
  storeQueueEntries: setting("1024", "Objects that may wait to be stored behind.", integer(1, 1_000_000)),
  storeQueueBytes: setting(
    "auto",
    "Bytes that may wait to be stored behind; auto is a quarter of L1.",
    orAuto(size("1KiB")),
  ),
  storeConcurrency: setting("32", "Objects stored behind at the same time.", integer(1, 256)),
  idleTimeout: setting("60s", "How long a connection may be idle.", duration("1s", "255s")),
  shutdownTimeout: setting(
    "30s",
    "How long a graceful stop may take, besides 2s for the last push of telemetry.",
    duration("1s", "1h"),
  ),
  allowedHosts: setting(
    "none",
    "Names by which clients reach the server, beside localhost, addresses and the name in host; *.NAME is all below NAME, * every name.",
    hostNames(),
  ),
  tokensFile: setting(
    "none",
    "File of tokens, one a line (`token create` makes them), read again when it changes; with tokens, nobody gets in without one.",
    pathOrNone(),
  ),
  tokens: setting("none", "The same lines themselves, in place of a file.", secretOrNone("lines of tokens, or none")),
  insecureOpen: setting(
    "off",
    "Whether to listen on more than the loopback without tokens: whoever reaches it may do everything.",
    oneOf(["on", "off"]),
  ),
  metricsAccess: setting(
    "token",
    "Where there are tokens, who may read /metrics: token, those of scope metrics or admin; open, everybody, and tenants are not named.",
    oneOf(["token", "open"]),
  ),
  corsOrigins: setting(
    "none",
    "Origins whose pages may use the server, beside its own.",
    origins(),
  ),
  observability: setting("on", "Whether events and metrics are made.", oneOf(["on", "off"])),
  tenantLabels: setting(
    "20",
    "Tenants with metrics of their own, by traffic; the rest are shown together.",
    integer(0, 1000),
  ),
  logLevel: setting(
    "info",
    "Lines of this gravity and graver ones are logged.",
    oneOf(["error", "warn", "info", "debug"]),
  ),
  requestLog: setting(
    "none",
    "File with a line of JSON for each request; opened again at SIGUSR2, for logrotate.",
    pathOrNone(),
  ),
  eventQueue: setting("10000", "Events that may wait; more are rolled up.", integer(1, 10_000_000)),
});

type Settings = v.InferOutput<typeof schema>;

/** Settings whose flag may stand alone for `on`. */
const SWITCHES: readonly string[] = ["insecureOpen"] satisfies (keyof Settings)[];

const secrets: ReadonlySet<string> = new Set(
  Object.entries(schema.entries).filter(([, entry]) => v.getMetadata(entry).secret).map(([name]) => name),
);

/** Every setting with its effective value. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  readonly workers: number;
  readonly workerTimeoutMs: number;
  readonly l1SizeBytes: number;
  readonly l1Policy: Settings["l1Policy"];
  readonly l1MaxObjects: number;
  readonly l1AdmissionLimitBytes: number;
  /** Fractions of l1SizeBytes; low is below high. */
  readonly l1HighWatermark: number;
  readonly l1LowWatermark: number;
  readonly l1ReadLeaseMs: number;
  readonly l1WriteLeaseMs: number;
  /** Tier URLs in the order they are asked. May hold passwords: show them through publicConfig. */
  readonly l2: readonly string[];
  /** 0: a tier is waited for as long as it takes. */
  readonly l2TimeoutMs: number;
  readonly write: Settings["write"];
  readonly maxObjectBytes: number;
  readonly storeQueueEntries: number;
  readonly storeQueueBytes: number;
  readonly storeConcurrency: number;
  readonly idleTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  /** What may stand in Host beside localhost and addresses; `*.` before a name: all below it; `*`: every name. */
  readonly allowedHosts: readonly string[];
  /** Where tokens are; one of the two at most. */
  readonly tokensFile: string | undefined;
  /** Their lines: not to be shown. */
  readonly tokens: string | undefined;
  /** Whether one of the two is there: nobody gets in without a token then. */
  readonly hasTokens: boolean;
  readonly insecureOpen: boolean;
  readonly metricsAccess: Settings["metricsAccess"];
  /** As browsers write them. */
  readonly corsOrigins: readonly string[];
  readonly observability: boolean;
  readonly tenantLabels: number;
  readonly logLevel: Settings["logLevel"];
  /** Undefined: there is none. */
  readonly requestLogPath: string | undefined;
  readonly eventQueueEntries: number;
}

/** Where settings come from, and what `auto` goes by. */
export interface ConfigSources extends SettingSources {
  readonly memoryLimitBytes: number;
  readonly cpuCount: number;
  readonly version: string;
  /** Throws an error that says what is wrong with the URLs of the tiers for so many workers (default: nothing is). */
  readonly checkTiers?: (urls: readonly string[], workers: number) => void;
}

/** The sentences of all settings, for `--help` and README.md. */
export function settingDocs(): readonly SettingDoc[] {
  return Object.entries(schema.entries).map(([name, entry]) => ({
    name,
    defaultText: v.getDefault(entry),
    sentence: v.getDescription(entry) ?? "",
    expected: v.getMetadata(entry).expected,
    isSwitch: SWITCHES.includes(name),
  }));
}

function parseSettings(written: ReadonlyMap<string, WrittenSetting>): Settings {
  const texts = Object.fromEntries(Array.from(written, ([name, { text }]) => [name, text]));
  const result = v.safeParse(schema, texts);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "";
  throw badValue(name, written.get(name), issue.message);
}

function badValue(name: string, written: WrittenSetting | undefined, reason: string): ConfigError {
  const value = secrets.has(name) ? "***" : shown(redactUrl(written?.text ?? ""));
  return new ConfigError(`bad value for ${written?.origin}: "${value}", ${reason}`);
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(Math.floor(value), min), max);
}

function orElse(value: number | "auto", auto: number): number {
  return value === "auto" ? auto : value;
}

/** Puts numbers where settings say `auto`. */
function resolve(settings: Settings, { memoryLimitBytes, cpuCount }: ConfigSources): Config {
  const quarterMib = Math.floor(memoryLimitBytes / 4 / mib);
  const l1SizeBytes = orElse(settings.l1Size, mib * clamp(quarterMib, 1, 4096));
  const hasTokens = settings.tokensFile.path !== undefined || settings.tokens.secret !== undefined;
  return {
    host: settings.host,
    port: settings.port,
    adminPort: settings.adminPort,
    workers: orElse(settings.workers, Math.min(64, cpuCount)),
    workerTimeoutMs: settings.workerTimeout,
    l1SizeBytes,
    l1Policy: settings.l1Policy,
    l1MaxObjects: orElse(settings.l1MaxObjects, clamp(l1SizeBytes / 4096, 1024, 4_194_304)),
    l1AdmissionLimitBytes: orElse(settings.l1AdmissionLimit, Math.floor(l1SizeBytes / 8)),
    l1HighWatermark: settings.l1HighWatermark,
    l1LowWatermark: settings.l1LowWatermark,
    l1ReadLeaseMs: settings.l1ReadLease,
    l1WriteLeaseMs: settings.l1WriteLease,
    l2: settings.l2,
    l2TimeoutMs: settings.l2Timeout,
    write: settings.write,
    maxObjectBytes: settings.maxObject,
    storeQueueEntries: settings.storeQueueEntries,
    storeQueueBytes: orElse(settings.storeQueueBytes, Math.floor(l1SizeBytes / 4)),
    storeConcurrency: settings.storeConcurrency,
    idleTimeoutMs: settings.idleTimeout,
    shutdownTimeoutMs: settings.shutdownTimeout,
    // A page that had its own name point here has no token.
    allowedHosts: hasTokens && settings.allowedHosts.length === 0 ? ["*"] : [settings.host, ...settings.allowedHosts],
    tokensFile: settings.tokensFile.path,
    tokens: settings.tokens.secret,
    hasTokens,
    insecureOpen: settings.insecureOpen === "on",
    metricsAccess: settings.metricsAccess,
    corsOrigins: settings.corsOrigins,
    observability: settings.observability === "on",
    tenantLabels: hasTokens && settings.metricsAccess === "open" ? 0 : settings.tenantLabels,
    logLevel: settings.logLevel,
    requestLogPath: settings.requestLog.path,
    eventQueueEntries: settings.eventQueue,
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
  const { asked, settings } = readSettings(sources, { names: Object.keys(schema.entries), switches: SWITCHES });
  if (asked === "help") return { text: helpText(settingDocs()) };
  if (asked === "version") return { text: sources.version };
  const config = checkTogether(resolve(parseSettings(settings), sources));
  try {
    sources.checkTiers?.(config.l2, config.workers);
  } catch (error) {
    const written = settings.get("l2") ?? { text: config.l2.join(","), origin: "--l2" };
    throw badValue("l2", written, causeText(error));
  }
  return { config };
}
