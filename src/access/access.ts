import { Buffer } from "node:buffer";
import type { FailureTable } from "./failure_table.ts";
import { type Grant, OPEN_GRANT } from "./grant.ts";
import { isPassword } from "./password_hash.ts";
import type { TokenEntry } from "./token_entry.ts";
import { TokenSet } from "./token_set.ts";

/**
 * Why a request is not let in: it brings no credentials; those it brings are not known; its address has failed too
 * often; too many passwords are being checked.
 */
export interface Denial {
  readonly denied: "missing" | "unknown" | "limited" | "busy";
  readonly retryAfterSeconds: number;
}

/** Most Authorization fields that are remembered with what they grant. */
const MAX_REMEMBERED = 4096;
const MAX_REMEMBERED_CHARACTERS = 1024;
/** Passwords that one thread checks at a time: each takes 16 MiB and a core. */
const MAX_CHECKS = 2;
/** Checks that wait for those. */
const MAX_WAITING = 16;

/** Decides for one thread who a request comes from. */
export class Access {
  readonly #failures: FailureTable;
  #tokens: TokenSet | undefined;
  /** By the raw Authorization field. Emptied when it is full, and with every change of the tokens. */
  readonly #remembered = new Map<string, Grant>();
  #checks = 0;
  readonly #waiting: (() => void)[] = [];

  /** `tokens` undefined: everybody may do everything. */
  constructor(tokens: readonly TokenEntry[] | undefined, failures: FailureTable) {
    this.#failures = failures;
    this.#tokens = tokens && new TokenSet(tokens);
  }

  /** True if no tokens are configured. */
  get isOpen(): boolean {
    return this.#tokens === undefined;
  }

  /** Other tokens count from now on. */
  replace(tokens: readonly TokenEntry[]): void {
    this.#tokens = new TokenSet(tokens);
    this.#remembered.clear();
  }

  /** The rights of a request if they are remembered; each hit asks for them. */
  known(authorization: string | null): Grant | undefined {
    if (this.#tokens === undefined) return OPEN_GRANT;
    return authorization === null ? undefined : this.#remembered.get(authorization);
  }

  /**
   * Finds what a request may do by its Authorization field; at once, but for a password that is not remembered.
   * `address` is asked for only where somebody fails. A right token passes however often its address has failed: others
   * may share the address.
   */
  grantOf(authorization: string | null, address: () => string): Grant | Denial | Promise<Grant | Denial> {
    const known = this.known(authorization);
    if (known !== undefined || this.#tokens === undefined) return known ?? OPEN_GRANT;
    if (authorization === null) return { denied: "missing", retryAfterSeconds: 0 };
    const credentials = parseCredentials(authorization);
    if (credentials === undefined) return this.#unknown(address());
    const grant = this.#tokens.bySecret(credentials.secret);
    if (grant !== undefined) return this.#remember(authorization, grant);
    const password = credentials.user === undefined ? undefined : this.#tokens.password(credentials.user);
    if (password === undefined) return this.#unknown(address());
    const from = address();
    if (this.#failures.isOver(from)) return this.#unknown(from);
    if (this.#waiting.length >= MAX_WAITING) return { denied: "busy", retryAfterSeconds: 1 };
    return this.#check(authorization, { ...password, secret: credentials.secret, from, tokens: this.#tokens });
  }

  async #check(
    authorization: string,
    { entry, isThere, secret, from, tokens }: NonNullable<ReturnType<TokenSet["password"]>> & {
      readonly secret: string;
      readonly from: string;
      readonly tokens: TokenSet;
    },
  ): Promise<Grant | Denial> {
    if (this.#checks >= MAX_CHECKS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#checks++;
    try {
      // Others of this address may have failed meanwhile.
      const isRight = !this.#failures.isOver(from) && await isPassword(secret, entry.kept) && isThere;
      if (!isRight) return this.#unknown(from);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#checks--;
      else next();
    }
    // The tokens may have been replaced meanwhile: a password that was taken back is not remembered.
    return this.#tokens === tokens
      ? this.#remember(authorization, entry.grant)
      : await this.grantOf(authorization, () => from);
  }

  #remember(authorization: string, grant: Grant): Grant {
    if (authorization.length > MAX_REMEMBERED_CHARACTERS) return grant;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(authorization, grant);
    return grant;
  }

  #unknown(address: string): Denial {
    return this.#failures.add(address)
      ? { denied: "limited", retryAfterSeconds: this.#failures.secondsLeft() }
      : { denied: "unknown", retryAfterSeconds: 0 };
  }
}

/** The credentials of an Authorization field. */
export interface Credentials {
  /** The token, or the password. */
  readonly secret: string;
  /** Of Basic (RFC 7617); undefined with Bearer. */
  readonly user: string | undefined;
}

/** Longer ones are none. */
const MAX_CHARACTERS = 2048;
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

/** The value of an Authorization field, Bearer (RFC 6750) or Basic (RFC 7617); undefined if it is neither. */
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
