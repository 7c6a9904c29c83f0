import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import * as v from "valibot";
import { VitrineError } from "../core/errors.ts";
import { MAX_KEY_BYTES, MAX_TENANT_BYTES } from "../core/object.ts";
import { formatPasswordHash, hashPassword, parsePasswordHash } from "./password_hash.ts";

/**
 * The scopes of tokens; none implies another. `write` stores and replaces objects, `create-only` stores only new ones.
 * `metrics` reads /metrics, `admin` reads everything about the state of the server and sets quotas.
 */
export const SCOPES = ["read", "write", "create-only", "delete", "metrics", "admin"] as const;

/** A permission of a token. */
export type Scope = (typeof SCOPES)[number];

/** The permissions of a request and the objects they apply to. Contains no secret. */
export interface Grant {
  /** The id of the token, or `jwt:` and the subject of a JWT; "" if no tokens are configured. */
  readonly tokenId: string;
  /** The tenant; with `anyTenant`, the default for a request that names none. */
  readonly tenant: string;
  /** True if the request may name any tenant. */
  readonly anyTenant: boolean;
  /** Keys must start with this prefix. */
  readonly prefix: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Wall time from which on it is not valid any more; default: it does not expire. */
  readonly expiresMs?: number;
}

/** The grant of every request if no tokens are configured. */
export const OPEN_GRANT: Grant = {
  tokenId: "",
  tenant: "",
  anyTenant: true,
  prefix: "",
  scopes: new Set(SCOPES),
};

/** Maximum length of a token file in characters. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
const BYTE_ORDER_MARK = "\uFEFF";

const entrySchema = v.pipe(
  v.strictObject({
    id: v.pipe(v.string(), v.regex(/^[A-Za-z0-9._@-]{1,64}$/)),
    sha256: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
    scrypt: v.optional(v.pipe(v.string(), v.check((text) => parsePasswordHash(text) !== undefined))),
    s3: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
    scopes: v.pipe(v.array(v.picklist(SCOPES)), v.minLength(1)),
    tenant: v.optional(v.pipe(v.string(), v.regex(/^[\x20-\x7e]*$/), v.maxLength(MAX_TENANT_BYTES)), ""),
    any_tenant: v.optional(v.boolean(), false),
    prefix: v.optional(v.pipe(v.string(), v.maxBytes(MAX_KEY_BYTES)), ""),
  }),
  v.check((entry) => [entry.sha256, entry.scrypt, entry.s3].filter((each) => each !== undefined).length === 1),
);

/**
 * A token in a token file, one line of JSON. It holds no secret: the hash of one, or the salt from which that of a key
 * pair is derived.
 */
export type TokenEntry = v.InferOutput<typeof entrySchema>;

/**
 * Parses tokens, one per line; skips blank lines and those that start with #. `origin` names the text in messages.
 * Throws VitrineError (bad_request) with the number of a bad line, but never its text, which may contain a secret.
 */
export function parseTokens(text: string, origin: string): readonly TokenEntry[] {
  const fail = (reason: string): never => {
    throw new VitrineError("bad_request", `read tokens from ${origin}: ${reason}`);
  };
  if (text.length > MAX_CHARACTERS) return fail(`more than ${MAX_CHARACTERS} characters`);
  const seen = new Set<string>();
  const entries: TokenEntry[] = [];
  const lines = (text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text).split("\n");
  for (const [index, line] of lines.entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const entry = parseLine(line);
    if (typeof entry === "string") return fail(`line ${index + 1}: ${entry}`);
    for (const name of [`id ${entry.id}`, entry.sha256 ?? entry.id]) {
      if (seen.has(name)) return fail(`line ${index + 1}: its id or its hash repeats an earlier line`);
      seen.add(name);
    }
    entries.push(entry);
  }
  if (entries.length === 0) return fail("it contains no tokens");
  return entries;
}

/** Returns the entry, or the reason why the line is bad. */
function parseLine(line: string): TokenEntry | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "not JSON";
  }
  const result = v.safeParse(entrySchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "";
  const field = path.split(".", 1)[0] ?? "";
  if (Object.hasOwn(FIELDS, field)) return `${field} is not ${FIELDS[field]}`;
  return path === "" ? "not an object with one of sha256, scrypt and s3" : "unknown field";
}

const FIELDS: Readonly<Record<string, string>> = {
  id: "1 to 64 of the characters A-Z a-z 0-9 . _ @ -",
  sha256: "64 lower-case hexadecimal digits",
  scrypt: "a hash made by `token create --password`",
  s3: "the salt of a key pair, made by `token create --s3`",
  scopes: `a list of ${SCOPES.join(", ")}`,
  tenant: `at most ${MAX_TENANT_BYTES} printable ASCII characters`,
  any_tenant: "true or false",
  prefix: `a text of at most ${MAX_KEY_BYTES} bytes`,
};

/** Formats an entry as a line for `parseTokens`, without the fields that have their default value. */
export function formatToken({ tenant, any_tenant, prefix, ...entry }: TokenEntry): string {
  return JSON.stringify({
    ...entry,
    ...(tenant === "" ? {} : { tenant }),
    ...(any_tenant ? { any_tenant } : {}),
    ...(prefix === "" ? {} : { prefix }),
  });
}

/** The fields of a new token, except its hash. */
export type TokenRights = Omit<TokenEntry, "sha256" | "scrypt" | "s3">;

const SECRET_BYTES = 32;
/** Lets secret scanners recognize a token. */
const SECRET_PREFIX = "vit_";

/**
 * Creates a token: a secret of 256 random bits, and the entry with its hash. A secret of this length needs no slow
 * hash.
 */
export function createToken(
  rights: TokenRights,
  random: (bytes: number) => Uint8Array = randomBytes,
): { readonly secret: string; readonly entry: TokenEntry } {
  const secret = SECRET_PREFIX + Buffer.from(random(SECRET_BYTES)).toString("base64url");
  return { secret, entry: { ...rights, sha256: sha256Of(secret) } };
}

/** Creates the entry for a password that a person chose, with a slow hash. */
export async function createPassword(rights: TokenRights, password: string): Promise<TokenEntry> {
  return { ...rights, scrypt: formatPasswordHash(await hashPassword(password)) };
}

/** The SHA-256 of a secret in the form that token files use. */
export function sha256Of(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
