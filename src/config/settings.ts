import * as v from "valibot";
import { ConfigError, shown } from "./config_error.ts";
import { redactUrl } from "./redact_url.ts";
import { flagName, type SettingNames, variableName, type WrittenSetting } from "./setting_sources.ts";
import {
  duration,
  flag,
  hostNames,
  integer,
  nonEmpty,
  oneOf,
  onOff,
  orAuto,
  origins,
  pathOrNone,
  ratio,
  secretOrNone,
  size,
  urls,
  type ValueFormat,
} from "./value_format.ts";

/** A setting as the schema holds it: text in, value out, with its default and its sentence. */
function setting<T>(defaultText: string, sentence: string, format: ValueFormat<T>) {
  return v.pipe(
    v.optional(v.string(), defaultText),
    v.description(sentence),
    v.metadata({ expected: format.expected, isSecret: format.isSecret ?? false, isSwitch: format.isSwitch ?? false }),
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
    flag(),
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
  observability: setting("on", "Whether events and metrics are made.", onOff()),
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

/** The settings as they are written, by name: `auto` is not resolved yet, and units are not in the names. */
export type Settings = v.InferOutput<typeof schema>;

/** The names of all settings. */
export function settingNames(): SettingNames {
  const entries = Object.entries(schema.entries);
  return {
    names: entries.map(([name]) => name),
    switches: entries.filter(([, entry]) => v.getMetadata(entry).isSwitch).map(([name]) => name),
  };
}

/** Reads the texts, and takes the default where there is none. Throws ConfigError for the first bad one. */
export function parseSettings(written: ReadonlyMap<string, WrittenSetting>): Settings {
  const texts = Object.fromEntries(Array.from(written, ([name, { text }]) => [name, text]));
  const result = v.safeParse(schema, texts);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw badValue(v.getDotPath(issue) ?? "", written, issue.message);
}

/** The error for a setting with a bad value; shows no secret. */
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

/** What is to be told of one setting. */
export interface SettingDoc {
  readonly name: string;
  readonly defaultText: string;
  readonly sentence: string;
  /** How a value is written; completes "Takes …". */
  readonly expected: string;
  /** Whether its flag may stand alone for `on`. */
  readonly isSwitch: boolean;
}

/** The documentation of all settings. */
export function settingDocs(): readonly SettingDoc[] {
  return Object.entries(schema.entries).map(([name, entry]) => ({
    name,
    defaultText: v.getDefault(entry),
    sentence: v.getDescription(entry) ?? "",
    expected: v.getMetadata(entry).expected,
    isSwitch: v.getMetadata(entry).isSwitch,
  }));
}

function flagOf({ name, isSwitch }: SettingDoc): string {
  return `--${flagName(name)}${isSwitch ? "[=VALUE]" : " VALUE"}`;
}

function meaning({ sentence, expected }: SettingDoc): string {
  return `${sentence} Takes ${expected}.`;
}

/** The text of `--help`. */
export function helpText(): string {
  const rows = settingDocs().map((doc): readonly [string, string] => [
    flagOf(doc),
    `${meaning(doc)} Default: ${doc.defaultText}.`,
  ]);
  const all: readonly (readonly [string, string])[] = [
    ...rows,
    ["--config PATH", "File with settings, JSON. Default: vitrine.json if it is there."],
    ["--version", "Print the version."],
    ["--help", "Print this text."],
  ];
  const width = Math.max(...all.map(([flag]) => flag.length));
  return [
    "Vitrine, the HTTP cache you can see into.",
    "",
    "  token create --help    Make a token.",
    "",
    ...all.map(([flag, sentence]) => `  ${flag.padEnd(width)}  ${sentence}`),
    "",
    "Each setting is also a variable (--l1-size: VITRINE_L1_SIZE) and a key of the file (l1Size). Flags win over variables, variables over the file.",
  ].join("\n");
}

/** The table of settings in README.md. */
export function settingsTable(): string {
  const rows = settingDocs().map((doc) =>
    `| \`--${flagName(doc.name)}\` | \`${variableName(doc.name)}\` | \`${doc.defaultText}\` | ${meaning(doc)} |`
  );
  return ["| flag | variable | default | what it does |", "| --- | --- | --- | --- |", ...rows].join("\n");
}
