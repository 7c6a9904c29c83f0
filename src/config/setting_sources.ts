import { parseArgs } from "node:util";
import { closestMatch } from "leven";
import * as v from "valibot";
import { causeText } from "../core/errors.ts";

/** Maximum length of a message, in characters. */
const MAX_LENGTH = 1000;
/** Maximum length of a name or value in a message, in characters. */
const MAX_SHOWN = 200;

/** A bad setting, which prevents the start. The message is always a single line, fit to be shown. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message, MAX_LENGTH), options);
  }
}

/** Makes a text from outside fit to be part of a message. */
export function shown(text: string): string {
  return oneLine(text, MAX_SHOWN);
}

/** Replaces control characters, which would break the line or control the terminal. */
function oneLine(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replaceAll(/\p{Cc}/gu, "\u{FFFD}");
}

/** The text of a setting, and its origin: `--l1-size`, `VITRINE_L1_SIZE` or `l1Size in vitrine.json`. */
export interface WrittenSetting {
  readonly text: string;
  readonly origin: string;
}

/** The sources of settings. `readFile` returns undefined if there is no such file. */
export interface SettingSources {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string | undefined;
}

/** The texts by setting. `asked` is set if a flag asks for a text instead of a start. */
export interface WrittenSettings {
  readonly asked: "help" | "version" | undefined;
  readonly settings: ReadonlyMap<string, WrittenSetting>;
}

/** The names of all settings. */
export interface SettingNames {
  readonly names: readonly string[];
  /** Those whose flag may be given without a value, for `on`. */
  readonly switches: readonly string[];
}

const envPrefix = "VITRINE_";
const defaultPath = "vitrine.json";
const BYTE_ORDER_MARK = "\uFEFF";
const valueSchema = v.union([v.string(), v.number()]);

const LOGROTATE = "the request log is reopened on SIGUSR2, so that logrotate can rename it";
/** Settings of earlier versions, each with its replacement. */
const REMOVED = new Map([
  ["adminToken", "create a token with scope admin (token create) and pass its file with --tokens-file"],
  ["requestLogSize", LOGROTATE],
  ["requestLogFiles", LOGROTATE],
]);

/** `l1Size` as a flag: `l1-size`. */
export function flagName(setting: string): string {
  return setting.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `l1Size` as a variable: `VITRINE_L1_SIZE`. */
export function variableName(setting: string): string {
  return envPrefix + flagName(setting).replaceAll("-", "_").toUpperCase();
}

/** Largest number of characters in which a known name may differ from a mistyped one. */
const MAX_TYPOS = 3;

/** The error for a name that is not known, with the known one that it resembles. */
function unknownName(kind: string, name: string, known: readonly string[]): ConfigError {
  const close = closestMatch(name, [...known], { maxDistance: MAX_TYPOS });
  return new ConfigError(`unknown ${kind}: ${shown(name)}${close === undefined ? "" : `; did you mean ${close}?`}`);
}

type Written = Map<string, WrittenSetting>;

function readFlags(args: readonly string[], { names, switches }: SettingNames): Written {
  const settings = new Map([...names, "config"].map((name) => [flagName(name), name]));
  const options = Object.fromEntries(
    Array.from(settings, ([flag, name]) => [flag, { type: switches.includes(name) ? "boolean" : "string" } as const]),
  );
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const written: Written = new Map();
  for (const token of tokens) {
    if (token.kind === "positional") throw new ConfigError(`unexpected argument: ${token.value}`);
    if (token.kind === "option-terminator") continue;
    const setting = settings.get(token.name);
    if (setting === undefined) {
      throw unknownName(
        "flag",
        token.rawName,
        Array.from(settings.keys(), (flag) => `--${flag}`),
      );
    }
    const text = token.value ?? (switches.includes(setting) ? "on" : undefined);
    if (text === undefined) throw new ConfigError(`missing value for flag: ${token.rawName}`);
    written.set(setting, { text, origin: token.rawName });
  }
  return written;
}

function readVariables(env: SettingSources["env"], names: readonly string[]): Written {
  const settings = new Map([...names, "config"].map((name) => [variableName(name), name]));
  const written: Written = new Map();
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !variable.startsWith(envPrefix)) continue;
    const setting = settings.get(variable);
    if (setting === undefined) throw unknownName("variable", variable, [...settings.keys()]);
    written.set(setting, { text, origin: variable });
  }
  return written;
}

/** The entries of a JSON object. Not `v.record`, which accepts arrays and drops keys such as `constructor`. */
function parseFile(path: string, content: string): readonly (readonly [string, unknown])[] {
  try {
    const json = content.startsWith(BYTE_ORDER_MARK) ? content.slice(BYTE_ORDER_MARK.length) : content;
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value);
  } catch (cause) {
    throw new ConfigError(`cannot read settings from ${path}: ${causeText(cause)}`, { cause });
  }
  throw new ConfigError(`cannot read settings from ${path}: not an object`);
}

function parseValue(path: string, setting: string, value: unknown): string {
  const parsed = v.safeParse(valueSchema, value);
  if (parsed.success) return String(parsed.output);
  throw new ConfigError(`bad value for ${setting} in ${path}: neither a string nor a number`);
}

function readContent(sources: SettingSources, path: string): string | undefined {
  try {
    return sources.readFile(path);
  } catch (cause) {
    throw new ConfigError(`cannot read settings from ${path}: ${causeText(cause)}`, { cause });
  }
}

function readSettingsFile(
  sources: SettingSources,
  path: WrittenSetting | undefined,
  names: readonly string[],
): Written {
  const content = readContent(sources, path?.text ?? defaultPath);
  const written: Written = new Map();
  if (content === undefined) {
    if (path !== undefined) throw new ConfigError(`no such file for ${path.origin}: ${path.text}`);
    return written;
  }
  const file = path?.text ?? defaultPath;
  for (const [setting, value] of parseFile(file, content)) {
    if (!names.includes(setting)) throw unknownName(`setting in ${file}`, setting, names);
    written.set(setting, { text: parseValue(file, setting, value), origin: `${setting} in ${file}` });
  }
  return written;
}

/**
 * Reads flags, variables and the file, in this order of precedence. Throws ConfigError for an unknown name and for a
 * file that cannot be read.
 */
export function readSettings(sources: SettingSources, current: SettingNames): WrittenSettings {
  if (sources.args.some((arg) => arg === "--help" || arg === "-h")) return { asked: "help", settings: new Map() };
  if (sources.args.includes("--version")) return { asked: "version", settings: new Map() };
  const names = [...current.names, ...REMOVED.keys()];
  const flags = readFlags(sources.args, { ...current, names });
  const variables = readVariables(sources.env, names);
  const file = readSettingsFile(sources, flags.get("config") ?? variables.get("config"), names);
  const settings = new Map([...file, ...variables, ...flags]);
  for (const [name, { origin }] of settings) {
    const instead = REMOVED.get(name);
    if (instead !== undefined) throw new ConfigError(`${origin} was removed: ${instead}`);
  }
  return { asked: undefined, settings };
}
