import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  createPassword,
  createToken,
  formatToken,
  parseTokens,
  type TokenEntry,
  type TokenRights,
} from "../access/token_entry.ts";
import { SCOPES } from "../access/grant.ts";
import { ConfigError } from "../config/config_error.ts";
import { causeText } from "../core/errors.ts";

/** What the command is run with. */
export interface TokenCommandOptions {
  /** What follows `token`. */
  readonly args: readonly string[];
  /** Prints a line of the result. */
  readonly print: (line: string) => void;
  /** Prints a line beside it. */
  readonly say: (line: string) => void;
  /** The first line of the input; asked for with --password alone. */
  readonly readLine: () => Promise<string>;
}

const OPTIONS = {
  id: { type: "string" },
  scopes: { type: "string" },
  tenant: { type: "string" },
  "any-tenant": { type: "boolean" },
  prefix: { type: "string" },
  password: { type: "boolean" },
  file: { type: "string" },
  help: { type: "boolean" },
} as const;

const HELP = `Makes a token. Prints its secret, once, and the line for the file that --tokens-file names.

  token create --id ID --scopes SCOPE,…

  --id ID         Its name in logs and events; the user name of a password.
  --scopes LIST   Of ${SCOPES.join(", ")}.
  --tenant NAME   Whose objects. Default: those of the tenant "".
  --any-tenant    Whose objects, the request says (Vitrine-Tenant).
  --prefix TEXT   Only keys that begin with it.
  --password      For a password that a person chose: the first line of the input.
  --file PATH     Adds the line to this file in place of printing it.`;

/** Runs `token create`. Throws ConfigError for what it does not understand, and where the file cannot be written. */
export async function runTokenCommand({ args, print, say, readLine }: TokenCommandOptions): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help === true) return print(HELP);
  if (positionals.join(" ") !== "create") throw new ConfigError("expected: token create --id ID --scopes SCOPE,…");
  const { id, scopes, file } = values;
  if (id === undefined || scopes === undefined) throw new ConfigError("token create needs --id and --scopes");
  if (values.tenant !== undefined && values["any-tenant"] === true) {
    throw new ConfigError("--tenant and --any-tenant are both there: one of them is enough");
  }
  const rights = parseRights({
    id,
    scopes: scopes.split(",").map((scope) => scope.trim()),
    tenant: values.tenant ?? "",
    any_tenant: values["any-tenant"] ?? false,
    prefix: values.prefix ?? "",
  });
  if (values.password === true) {
    const password = await readLine();
    if (password === "") throw new ConfigError("read password: the input is empty");
    write(await createPassword(rights, password), { file, print, say });
    return;
  }
  const { secret, entry } = createToken(rights);
  write(entry, { file, print, say, secret });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw new ConfigError(`token: ${causeText(cause)}`, { cause });
  }
}

/** The same check as for a line of the file. */
function parseRights(rights: Readonly<Record<keyof TokenRights, unknown>>): TokenRights {
  try {
    const [entry] = parseTokens(JSON.stringify({ ...rights, sha256: "0".repeat(64) }), "the flags");
    if (entry === undefined) throw new Error("read tokens: there is none");
    const { id, scopes, tenant, any_tenant, prefix } = entry;
    return { id, scopes, tenant, any_tenant, prefix };
  } catch (cause) {
    throw new ConfigError(causeText(cause), { cause });
  }
}

function write(
  entry: TokenEntry,
  { file, secret, print, say }: {
    readonly file: string | undefined;
    readonly secret?: string;
    readonly print: (line: string) => void;
    readonly say: (line: string) => void;
  },
): void {
  const line = formatToken(entry);
  if (file !== undefined) append(file, line);
  if (secret !== undefined) {
    say("vitrine: the token, shown only now; clients send it as a bearer, or as the password of Basic:");
    print(secret);
  }
  if (file === undefined) {
    say("vitrine: its line for the file that --tokens-file names:");
    print(line);
  } else say(`vitrine: its line is in ${file}`);
}

/** Adds a line, if the file is good with it: a server that reads it keeps what it has otherwise. */
function append(file: string, line: string): void {
  try {
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    const added = `${text === "" || text.endsWith("\n") ? "" : "\n"}${line}\n`;
    parseTokens(text + added, file);
    appendFileSync(file, added, { mode: 0o600 });
  } catch (cause) {
    throw new ConfigError(`add token to ${file}: ${causeText(cause)}`, { cause });
  }
}
