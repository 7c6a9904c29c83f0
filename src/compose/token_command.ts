import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { newSalt, secretOf } from "../access/token_set.ts";
import {
  createPassword,
  createToken,
  formatToken,
  parseTokens,
  SCOPES,
  type TokenEntry,
  type TokenRights,
} from "../access/tokens.ts";
import { ConfigError } from "../config/setting_sources.ts";
import { MIN_S3_KEY_CHARACTERS } from "../config/settings.ts";
import { causeText } from "../core/errors.ts";

/** Options of the token command. */
export interface TokenCommandOptions {
  /** The arguments after `token`. */
  readonly args: readonly string[];
  /** The environment; VITRINE_S3_KEY is read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
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
  s3: { type: "boolean" },
  "s3-key": { type: "string" },
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
  --s3            For S3 clients: a key pair, whose access key id is the ID.
  --s3-key KEY    The server's setting of this name, from which its secret is derived. Default: VITRINE_S3_KEY.
  --password      For a password that a person chose: the first line of the input.
  --file PATH     Adds the line to this file in place of printing it.`;

/** Runs `token create`. Throws ConfigError for what it does not understand, and where the file cannot be written. */
export async function runTokenCommand({ args, env, print, say, readLine }: TokenCommandOptions): Promise<void> {
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
  if (values.password === true && values.s3 === true) {
    throw new ConfigError("--password and --s3 are both there: one of them is enough");
  }
  if (values.password === true) {
    const password = await readLine();
    if (password === "") throw new ConfigError("read password: the input is empty");
    write(await createPassword(rights, password), { file, print, say });
    return;
  }
  if (values.s3 === true) {
    const { secret, entry } = createKeyPair(rights, values["s3-key"] ?? env["VITRINE_S3_KEY"]);
    write(entry, { file, print, say, secret });
    return;
  }
  const { secret, entry } = createToken(rights);
  write(entry, { file, print, say, secret });
}

/** A key pair, whose secret the server can derive again with the same key. */
function createKeyPair(rights: TokenRights, serverKey: string | undefined) {
  if (serverKey === undefined || serverKey.length < MIN_S3_KEY_CHARACTERS) {
    throw new ConfigError(
      `--s3 needs the server's key, of at least ${MIN_S3_KEY_CHARACTERS} characters: --s3-key or VITRINE_S3_KEY`,
    );
  }
  const salt = newSalt();
  return { secret: secretOf(serverKey, rights.id, salt), entry: { ...rights, s3: salt } };
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
    say(
      entry.s3 === undefined
        ? "vitrine: the token, shown only now; clients send it as a bearer, or as the password of Basic:"
        : `vitrine: the secret access key, shown only now; the access key id is ${entry.id}:`,
    );
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
