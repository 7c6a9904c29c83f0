import { flagName, variableName } from "./setting_sources.ts";

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

function flagOf({ name, isSwitch }: SettingDoc): string {
  return `--${flagName(name)}${isSwitch ? "[=VALUE]" : " VALUE"}`;
}

function meaning({ sentence, expected }: SettingDoc): string {
  return `${sentence} Takes ${expected}.`;
}

/** The text of `--help`. */
export function helpText(docs: readonly SettingDoc[]): string {
  const rows = docs.map((doc): readonly [string, string] => [
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
export function settingsTable(docs: readonly SettingDoc[]): string {
  const rows = docs.map((doc) =>
    `| \`--${flagName(doc.name)}\` | \`${variableName(doc.name)}\` | \`${doc.defaultText}\` | ${meaning(doc)} |`
  );
  return ["| flag | variable | default | what it does |", "| --- | --- | --- | --- |", ...rows].join("\n");
}
