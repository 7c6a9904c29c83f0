import * as v from "valibot";
import {
  ConfigError,
  flagName,
  type SettingNames,
  shown,
  variableName,
  type WrittenSetting,
} from "./setting_sources.ts";
import {
  duration,
  flag,
  hostNames,
  integer,
  longSecretOrNone,
  networks,
  nonEmpty,
  oneOf,
  onOff,
  orAuto,
  origins,
  pathOrNone,
  protectedUrlOrNone,
  ratio,
  redactUrl,
  s3Hosts,
  secretOrNone,
  size,
  someOf,
  urls,
  type ValueFormat,
  wordOrNone,
} from "./value_format.ts";

/** An entry of the schema: parses the text of a setting, and carries its default and its help. */
function setting<T>(defaultText: string, help: string, format: ValueFormat<T>) {
  return v.pipe(
    v.optional(v.string(), defaultText),
    v.description(help),
    v.metadata({ expected: format.expected, isSecret: format.isSecret ?? false, isSwitch: format.isSwitch ?? false }),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = format.parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message: `expected ${format.expected}` });
      return NEVER;
    }),
  );
}

/** Minimum length of the key from which the secrets of S3 key pairs are derived. */
export const MIN_S3_KEY_CHARACTERS = 32;

const schema = v.object({
  host: setting("127.0.0.1", "Address to listen on.", nonEmpty("an address or a host name")),
  port: setting("8080", "Port to listen on; 0 picks a free one.", integer(0, 65_535)),
  adminPort: setting(
    "9090",
    "Port that serves only metrics, health and status; 0 picks a free one.",
    integer(0, 65_535),
  ),
  workers: setting("auto", "Threads that serve requests; auto is one per core.", orAuto(integer(1, 64))),
  workerTimeout: setting(
    "5s",
    "Replace a worker whose event loop has not run for this long; time spent waiting for a core does not count.",
    duration("100ms", "1h"),
  ),
  l1Size: setting(
    "auto",
    "Memory for L1; auto is a quarter of the memory limit, at most 4GiB.",
    orAuto(size("1MiB")),
  ),
  l1Policy: setting("s3-fifo", "Eviction policy of L1.", oneOf(["s3-fifo", "lru"])),
  l1MaxObjects: setting(
    "auto",
    "Maximum number of objects in L1; auto is one per 4KiB of L1, from 1024 to 4194304.",
    orAuto(integer(1024, 4_194_304)),
  ),
  l1AdmissionLimit: setting(
    "auto",
    "Largest object that L1 admits (larger ones are streamed to L2); auto is an eighth of L1.",
    orAuto(size("1KiB")),
  ),
  l1HighWatermark: setting("0.8", "Fraction of L1 in use above which it starts to evict.", ratio()),
  l1LowWatermark: setting("0.6", "Fraction of L1 in use at which it stops evicting.", ratio()),
  l1ReadLease: setting("300s", "Maximum time a reader may hold an object in L1.", duration("1s", "24h")),
  l1WriteLease: setting("600s", "Maximum time an unfinished write may hold memory in L1.", duration("1s", "24h")),
  l2: setting("file://./.vitrine", "Storage tiers behind L1, in lookup order.", urls()),
  l2Timeout: setting(
    "30s",
    "Fail a call to a tier that makes no progress for this long; 0s waits forever.",
    duration("0s", "1h"),
  ),
  scrubRate: setting(
    "4MiB",
    "Bytes per second to read from each file tier in the background, so that damage is found early; 0B turns that off.",
    size("0B"),
  ),
  write: setting(
    "back",
    "back acknowledges a write once it is in L1 and flushes it to L2 later; through acknowledges it once every tier has it.",
    oneOf(["back", "through"]),
  ),
  maxObject: setting("64GiB", "Largest object that a client may store.", size("1KiB")),
  storeQueueEntries: setting("1024", "Maximum number of objects waiting to be flushed to L2.", integer(1, 1_000_000)),
  storeQueueBytes: setting(
    "auto",
    "Maximum number of bytes waiting to be flushed to L2; auto is a quarter of L1.",
    orAuto(size("1KiB")),
  ),
  storeQueueAge: setting(
    "1m",
    "PUTs wait while the oldest object waiting to be flushed is older than this; 0 = no bound.",
    duration("0s", "1h"),
  ),
  prefetchJobs: setting(
    "64",
    "Maximum number of prefetch jobs that run at the same time, over all workers; one more is refused with 503.",
    integer(1, 1024),
  ),
  prefetchLoads: setting(
    "8",
    "Maximum number of objects that one worker loads into L1 at the same time before anybody reads them, for prefetches and lookups.",
    integer(1, 256),
  ),
  storeConcurrency: setting("32", "Maximum number of objects flushed to L2 at the same time.", integer(1, 256)),
  idleTimeout: setting("60s", "Close a connection that has been idle for this long.", duration("1s", "255s")),
  sizedBodyMemory: setting(
    "32MiB",
    "Memory per worker for copies of bodies above 64KiB that wait to be sent, where the runtime needs a copy to send Content-Length (docs/RUNTIMES.md). Bodies that find no room are sent in chunks, which costs less; 0B sends all in chunks.",
    size("0B"),
  ),
  shutdownTimeout: setting(
    "30s",
    "Maximum time for a graceful shutdown, not counting 2s for the last push of telemetry.",
    duration("1s", "1h"),
  ),
  allowedHosts: setting(
    "none",
    "Host names that clients may use besides localhost, IP addresses and the name in host; *.NAME allows every name below NAME, * any name.",
    hostNames(),
  ),
  tokensFile: setting(
    "none",
    "File of tokens, one per line, as `token create` makes them; it is reread when it changes. Once there are tokens, every client needs one.",
    pathOrNone(),
  ),
  quotasFile: setting(
    "auto",
    "File in which tenants' quotas of L1 are kept; auto is quotas.json in the folder of the first file tier. Without a file tier, and with none, they are gone after a restart.",
    orAuto(pathOrNone()),
  ),
  tokens: setting(
    "none",
    "The lines of a token file themselves, in place of the file.",
    secretOrNone("lines as in a token file, or none"),
  ),
  s3Key: setting(
    "none",
    "Key from which the secrets of S3 key pairs are derived, at least 32 characters; `token create --s3` needs it too.",
    longSecretOrNone(MIN_S3_KEY_CHARACTERS),
  ),
  s3Hosts: setting(
    "none",
    "Host names that speak S3 at their root: NAME has the buckets in its paths and in the names below it; NAME=BUCKET is one bucket.",
    s3Hosts(),
  ),
  s3Md5: setting(
    "on",
    "Hash what is stored through S3 with MD5, for its ETag; off saves most of the time that a core spends on such a body.",
    onOff(),
  ),
  jwksUrl: setting(
    "none",
    "URL of the public keys (JWKS) with which JWTs are checked; with it, every client needs a token.",
    protectedUrlOrNone(),
  ),
  jwtIssuer: setting("none", "The issuer (iss) of the JWTs that are accepted.", wordOrNone("the claim's value")),
  jwtAudience: setting("none", "The audience (aud) that JWTs must be for.", wordOrNone("the claim's value")),
  jwtTenantClaim: setting(
    "tenant",
    'The claim with a JWT\'s tenant; a JWT without it is refused. With none, the tenant is always "".',
    wordOrNone("a claim's name"),
  ),
  jwtScopeClaim: setting("scope", "The claim with a JWT's scopes.", nonEmpty("a claim's name")),
  jwtScopes: setting(
    "none",
    "Scopes of JWTs without the claim for scopes.",
    someOf(["read", "write", "create-only", "delete", "metrics", "admin"]),
  ),
  tlsCert: setting(
    "none",
    "File of the certificate (PEM, with its chain): both ports then serve HTTPS only. It is reread when it changes.",
    pathOrNone(),
  ),
  tlsKey: setting("none", "File of the certificate's private key (PEM).", pathOrNone()),
  insecureOpen: setting(
    "off",
    "Allow listening beyond loopback without tokens; anyone who can reach the server may then read, write and delete everything.",
    flag(),
  ),
  metricsAccess: setting(
    "token",
    "Access to /metrics when there are tokens: token requires one with scope metrics or admin; open lets anyone read it and leaves out the names of tenants.",
    oneOf(["token", "open"]),
  ),
  trustedProxies: setting(
    "none",
    "Proxies that are believed when they name the address of their client.",
    networks(),
  ),
  proxyHeader: setting(
    "x-forwarded-for",
    "The field in which trusted proxies name the address of their client; they must set or extend it themselves.",
    oneOf(["x-forwarded-for", "forwarded"]),
  ),
  maxRequests: setting(
    "10000",
    "Maximum number of requests for objects in progress, over all workers; further ones get 503. 0 = no limit.",
    integer(0, 10_000_000),
  ),
  maxTenantRequests: setting(
    "0",
    "Maximum number of requests for objects in progress for one tenant, over all workers; further ones get 429. 0 = no limit.",
    integer(0, 10_000_000),
  ),
  tenantRate: setting(
    "0",
    "Maximum number of requests for objects per second for one tenant, over all workers; further ones get 429. 0 = no limit.",
    integer(0, 1_000_000),
  ),
  maxUpload: setting(
    "0B",
    "Maximum size of all request bodies that are being received, over all workers; further ones get 503. 0B = no limit.",
    size("0B"),
  ),
  transferTimeout: setting(
    "2m",
    "End a request or response body whose client moves less than 1MiB of it in this time; 0s = no limit.",
    duration("0s", "24h"),
  ),
  maxEventStreams: setting("16", "Maximum number of open streams of events.", integer(1, 1024)),
  corsOrigins: setting(
    "none",
    "Origins whose pages may use the server, besides its own.",
    origins(),
  ),
  observability: setting("on", "Publish events and collect metrics.", onOff()),
  tenantLabels: setting(
    "20",
    "Number of tenants that get metrics of their own, by traffic; all others share one series.",
    integer(0, 1000),
  ),
  logLevel: setting(
    "info",
    "Minimum level of the lines that are logged.",
    oneOf(["error", "warn", "info", "debug"]),
  ),
  requestLog: setting(
    "none",
    "File that gets one line of JSON per request; it is reopened on SIGUSR2, for logrotate.",
    pathOrNone(),
  ),
  eventQueue: setting(
    "10000",
    "Maximum number of individual events queued per thread; further events are counted, but lose their details.",
    integer(1, 10_000_000),
  ),
});

/** The parsed settings by name. `auto` is not resolved yet, and the names have no units. */
export type Settings = v.InferOutput<typeof schema>;

/** The names of all settings. */
export function settingNames(): SettingNames {
  const entries = Object.entries(schema.entries);
  return {
    names: entries.map(([name]) => name),
    switches: entries.filter(([, entry]) => v.getMetadata(entry).isSwitch).map(([name]) => name),
  };
}

/** Parses the texts; a setting without one has its default. Throws ConfigError for the first bad value. */
export function parseSettings(written: ReadonlyMap<string, WrittenSetting>): Settings {
  const texts = Object.fromEntries(Array.from(written, ([name, { text }]) => [name, text]));
  const result = v.safeParse(schema, texts);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw badValue(v.getDotPath(issue) ?? "", written, issue.message);
}

/** The error for a setting with a bad value, without the value if it is secret. */
export function badValue(
  name: string,
  written: ReadonlyMap<string, WrittenSetting>,
  reason: string,
): ConfigError {
  const entry = Object.entries(schema.entries).find(([each]) => each === name)?.[1];
  const { text, origin } = written.get(name) ?? { text: entry && v.getDefault(entry), origin: `--${flagName(name)}` };
  const value = entry && v.getMetadata(entry).isSecret ? "***" : shown(redactUrl(text ?? ""));
  return new ConfigError(`bad value for ${origin}: "${value}", ${reason}`);
}

/** The documentation of one setting. */
export interface SettingDoc {
  readonly name: string;
  readonly defaultText: string;
  /** One or more sentences. */
  readonly help: string;
  /** Describes the values; completes "Takes …". */
  readonly expected: string;
  /** True if its flag may be given without a value, for `on`. */
  readonly isSwitch: boolean;
}

/** The documentation of all settings. */
export function settingDocs(): readonly SettingDoc[] {
  return Object.entries(schema.entries).map(([name, entry]) => ({
    name,
    defaultText: v.getDefault(entry),
    help: v.getDescription(entry) ?? "",
    expected: v.getMetadata(entry).expected,
    isSwitch: v.getMetadata(entry).isSwitch,
  }));
}

function flagOf({ name, isSwitch }: SettingDoc): string {
  return `--${flagName(name)}${isSwitch ? "[=VALUE]" : " VALUE"}`;
}

function meaning({ help, expected }: SettingDoc): string {
  return `${help} Takes ${expected}.`;
}

/** The text of `--help`. */
export function helpText(): string {
  const rows = settingDocs().map((doc): readonly [string, string] => [
    flagOf(doc),
    `${meaning(doc)} Default: ${doc.defaultText}.`,
  ]);
  const all: readonly (readonly [string, string])[] = [
    ...rows,
    ["--config PATH", "JSON file with settings. Default: vitrine.json, if it exists."],
    ["--version", "Print the version."],
    ["--help", "Print this help."],
  ];
  const width = Math.max(...all.map(([flag]) => flag.length));
  return [
    "Vitrine, the HTTP cache you can see into.",
    "",
    "  token create --help    Create a token.",
    "",
    ...all.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}`),
    "",
    "Each setting can also be an environment variable (--l1-size: VITRINE_L1_SIZE) or a key of the file (l1Size). Flags override variables, and variables override the file.",
  ].join("\n");
}

/** The table of settings in README.md. */
export function settingsTable(): string {
  const rows = settingDocs().map((doc) =>
    `| \`--${flagName(doc.name)}\` | \`${variableName(doc.name)}\` | \`${doc.defaultText}\` | ${meaning(doc)} |`
  );
  return ["| flag | variable | default | what it does |", "| --- | --- | --- | --- |", ...rows].join("\n");
}
