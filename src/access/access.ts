import { Buffer } from "node:buffer";
import type { FailureTable } from "./failure_table.ts";
import { type Grant, OPEN_GRANT } from "./grant.ts";
import { isPassword } from "./password_hash.ts";
import type { TokenEntry } from "./token_entry.ts";
import { TokenSet } from "./token_set.ts";

/**
 * The refusal of a request: it has no credentials (`missing`) or unknown ones (`unknown`), its address has failed too
 * often (`limited`), or too many passwords are being checked (`busy`).
 */
export interface Denial {
  readonly denied: "missing" | "unknown" | "limited" | "busy";
  readonly retryAfterSeconds: number;
}

/** Maximum number of Authorization fields in the cache of grants, and the maximum length of each. */
const MAX_CACHED = 4096;
const MAX_CACHED_CHARACTERS = 1024;
/** Maximum number of passwords that a thread checks at a time; each takes 16 MiB and a core. */
const MAX_CHECKS = 2;
/** Maximum number of checks that wait for those. */
const MAX_WAITING = 16;

/** Authenticates the requests of one thread. */
export class Access {
  readonly #failures: FailureTable;
  #tokens: TokenSet | undefined;
  /** Grants by the raw Authorization field. Emptied when it is full and whenever the tokens change. */
  readonly #cache = new Map<string, Grant>();
  #checks = 0;
  readonly #waiting: (() => void)[] = [];

  /** `tokens` undefined: no tokens are configured, and everything is allowed. */
  constructor(tokens: readonly TokenEntry[] | undefined, failures: FailureTable) {
    this.#failures = failures;
    this.#tokens = tokens && new TokenSet(tokens);
  }

  /** True if no tokens are configured. */
  get isOpen(): boolean {
    return this.#tokens === undefined;
  }

  /** Replaces the tokens, effective at once. */
  replace(tokens: readonly TokenEntry[]): void {
    this.#tokens = new TokenSet(tokens);
    this.#cache.clear();
  }

  /** The grant of a request if it is cached. Every hit calls this. */
  cached(authorization: string | null): Grant | undefined {
    if (this.#tokens === undefined) return OPEN_GRANT;
    return authorization === null ? undefined : this.#cache.get(authorization);
  }

  /**
   * Finds the grant for an Authorization field; synchronously, except for a password that is not cached. `address` is
   * called only for passwords and failures. A valid token is accepted however often its address has failed, because
   * others may share the address.
   */
  grantOf(authorization: string | null, address: () => string): Grant | Denial | Promise<Grant | Denial> {
    const cached = this.cached(authorization);
    if (cached !== undefined || this.#tokens === undefined) return cached ?? OPEN_GRANT;
    if (authorization === null) return { denied: "missing", retryAfterSeconds: 0 };
    const credentials = parseCredentials(authorization);
    if (credentials === undefined) return this.#unknown(address());
    const grant = this.#tokens.bySecret(credentials.secret);
    if (grant !== undefined) return this.#store(authorization, grant);
    const password = credentials.user === undefined ? undefined : this.#tokens.password(credentials.user);
    if (password === undefined) return this.#unknown(address());
    const from = address();
    if (this.#failures.isOver(from)) return this.#unknown(from);
    if (this.#waiting.length >= MAX_WAITING) return { denied: "busy", retryAfterSeconds: 1 };
    return this.#check(authorization, { ...password, secret: credentials.secret, from, tokens: this.#tokens });
  }

  async #check(
    authorization: string,
    { entry, exists, secret, from, tokens }: NonNullable<ReturnType<TokenSet["password"]>> & {
      readonly secret: string;
      readonly from: string;
      readonly tokens: TokenSet;
    },
  ): Promise<Grant | Denial> {
    if (this.#checks >= MAX_CHECKS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#checks++;
    try {
      // Other attempts from this address may have failed meanwhile.
      const isValid = !this.#failures.isOver(from) && await isPassword(secret, entry.hash) && exists;
      if (!isValid) return this.#unknown(from);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#checks--;
      else next();
    }
    // If the tokens were replaced meanwhile, the password may have been revoked and must not be cached.
    return this.#tokens === tokens
      ? this.#store(authorization, entry.grant)
      : await this.grantOf(authorization, () => from);
  }

  #store(authorization: string, grant: Grant): Grant {
    if (authorization.length > MAX_CACHED_CHARACTERS) return grant;
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(authorization, grant);
    return grant;
  }

  #unknown(address: string): Denial {
    return this.#failures.add(address)
      ? { denied: "limited", retryAfterSeconds: this.#failures.secondsLeft() }
      : { denied: "unknown", retryAfterSeconds: 0 };
  }
}

/** The credentials in an Authorization field. */
export interface Credentials {
  /** The token or the password. */
  readonly secret: string;
  /** The user name of Basic (RFC 7617); undefined with Bearer. */
  readonly user: string | undefined;
}

/** Maximum length of an Authorization field in characters. */
const MAX_CHARACTERS = 2048;
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

/** Parses an Authorization field, Bearer (RFC 6750) or Basic (RFC 7617); undefined if it is neither. */
export function parseCredentials(authorization: string): Credentials | undefined {
  if (authorization.length > MAX_CHARACTERS) return undefined;
  const bearer = BEARER.exec(authorization)?.[1];
  if (bearer !== undefined) return { secret: bearer, user: undefined };
  const basic = BASIC.exec(authorization)?.[1];
  if (basic === undefined) return undefined;
  const pair = Buffer.from(basic, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : { user: pair.slice(0, colon), secret: pair.slice(colon + 1) };
}
