import { Buffer } from "node:buffer";
import type { FailureTable } from "./failure_table.ts";
import { isJwt, type JwtVerifier, KeysUnavailable } from "./jwt.ts";
import { isPassword } from "./password_hash.ts";
import type { Signature } from "./sigv4.ts";
import { KeyPairs, TokenSet } from "./token_set.ts";
import { type Grant, OPEN_GRANT, type TokenEntry } from "./tokens.ts";

/**
 * The refusal of a request: it has no credentials (`missing`) or unknown ones (`unknown`), its address has failed too
 * often (`limited`), too many passwords or JWTs are being checked (`busy`), or the keys that JWTs are checked with
 * could not be loaded (`no_keys`).
 */
export interface Denial {
  readonly denied: "missing" | "unknown" | "limited" | "busy" | "no_keys";
  readonly retryAfterSeconds: number;
}

/** Maximum number of Authorization fields in the cache of grants. */
const MAX_CACHED = 4096;
/** Maximum number of characters of these fields, in all. */
const MAX_CACHED_CHARACTERS = 4 * 1024 * 1024;
/** Maximum number of passwords that a thread checks at a time; each takes 16 MiB and a core. */
const MAX_CHECKS = 2;
/** Maximum number of checks that wait for those. */
const MAX_WAITING = 16;

/** Maximum number of JWTs that a thread checks at a time. */
const MAX_JWT_CHECKS = 256;

/** Authenticates the requests of one thread. */
export class Access {
  readonly #failures: FailureTable;
  readonly #jwt: JwtVerifier | undefined;
  readonly #keyPairs: KeyPairs;
  #tokens: TokenSet | undefined;
  /** Grants by the raw Authorization field. Emptied when it is full and whenever the tokens change. */
  readonly #cache = new Map<string, Grant>();
  #cachedCharacters = 0;
  /** Counts the times that it was emptied because what it holds may not be valid any more. */
  #generation = 0;
  #jwtChecks = 0;
  #checks = 0;
  readonly #waiting: (() => void)[] = [];

  /** Without `tokens` and `jwt` nobody needs a token, and everything is allowed. */
  constructor(
    tokens: readonly TokenEntry[] | undefined,
    failures: FailureTable,
    { jwt, s3Key }: { readonly jwt?: JwtVerifier | undefined; readonly s3Key?: string | undefined } = {},
  ) {
    this.#failures = failures;
    this.#jwt = jwt;
    this.#tokens = tokens === undefined && jwt === undefined ? undefined : new TokenSet(tokens ?? []);
    this.#keyPairs = new KeyPairs(s3Key);
    this.#keyPairs.replace(this.#tokens?.keyPairs ?? new Map());
  }

  /** True if no tokens are configured. */
  get isOpen(): boolean {
    return this.#tokens === undefined;
  }

  /** Replaces the tokens, effective at once. */
  replace(tokens: readonly TokenEntry[]): void {
    this.#tokens = new TokenSet(tokens);
    this.#keyPairs.replace(this.#tokens.keyPairs);
    this.forget();
  }

  /** Checks all credentials anew from now on. */
  forget(): void {
    this.#generation++;
    this.#emptyCache();
  }

  /** The grant of a request if it is cached. Every hit calls this. */
  cached(authorization: string | null): Grant | undefined {
    if (this.#tokens === undefined) return OPEN_GRANT;
    if (authorization === null) return undefined;
    const grant = this.#cache.get(authorization);
    return grant?.expiresMs === undefined || (this.#jwt?.nowMs() ?? 0) < grant.expiresMs ? grant : undefined;
  }

  /**
   * Finds the grant for an Authorization field; synchronously, except for a password or a JWT that is not cached.
   * `address` is called only for passwords, JWTs and failures. A valid token is accepted however often its address has
   * failed, because others may share the address.
   */
  grantOf(authorization: string | null, address: () => string): Grant | Denial | Promise<Grant | Denial> {
    const cached = this.cached(authorization);
    if (cached !== undefined || this.#tokens === undefined) return cached ?? OPEN_GRANT;
    if (authorization === null) return { denied: "missing", retryAfterSeconds: 0 };
    const credentials = parseCredentials(authorization);
    if (credentials === undefined) return this.#unknown(address());
    const grant = this.#tokens.bySecret(credentials.secret);
    if (grant !== undefined) return this.#store(authorization, grant);
    if (this.#jwt !== undefined && isJwt(credentials.secret)) {
      return this.#checkJwt(authorization, { jwt: this.#jwt, secret: credentials.secret, from: address() });
    }
    const password = credentials.user === undefined ? undefined : this.#tokens.password(credentials.user);
    if (password === undefined) return this.#unknown(address());
    const from = address();
    if (this.#failures.isOver(from)) return this.#unknown(from);
    if (this.#waiting.length >= MAX_WAITING) return { denied: "busy", retryAfterSeconds: 1 };
    return this.#check(authorization, { ...password, secret: credentials.secret, from, tokens: this.#tokens });
  }

  /** The key pair of a signed request; undefined if it is not known. */
  keyPair(signature: Signature): ReturnType<KeyPairs["find"]> {
    return this.#keyPairs.find(signature);
  }

  /** Counts wrong credentials from an address. */
  failed(address: string): Denial {
    return this.#unknown(address);
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

  async #checkJwt(
    authorization: string,
    { jwt, secret, from }: { readonly jwt: JwtVerifier; readonly secret: string; readonly from: string },
  ): Promise<Grant | Denial> {
    if (this.#jwtChecks >= MAX_JWT_CHECKS) return { denied: "busy", retryAfterSeconds: 1 };
    const generation = this.#generation;
    this.#jwtChecks++;
    let grant: Grant | undefined;
    try {
      grant = await jwt.verify(secret);
    } catch (error) {
      if (error instanceof KeysUnavailable) return { denied: "no_keys", retryAfterSeconds: 1 };
      throw error;
    } finally {
      this.#jwtChecks--;
    }
    if (grant === undefined) return this.#unknown(from);
    // If the keys were replaced meanwhile, that of the token may have been revoked and the grant must not be cached.
    return this.#generation === generation
      ? this.#store(authorization, grant)
      : await this.grantOf(authorization, () => from);
  }

  #store(authorization: string, grant: Grant): Grant {
    const isFull = this.#cache.size >= MAX_CACHED ||
      this.#cachedCharacters + authorization.length > MAX_CACHED_CHARACTERS;
    if (isFull) this.#emptyCache();
    if (!this.#cache.has(authorization)) this.#cachedCharacters += authorization.length;
    this.#cache.set(authorization, grant);
    return grant;
  }

  #emptyCache(): void {
    this.#cache.clear();
    this.#cachedCharacters = 0;
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
const MAX_CHARACTERS = 8192;
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
