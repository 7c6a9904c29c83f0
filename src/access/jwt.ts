import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from "jose";
import { VitrineError } from "../core/errors.ts";
import { MAX_TENANT_BYTES } from "../core/object.ts";
import { type Grant, type Scope, SCOPES } from "./tokens.ts";

/** Loads the library, which a server without JWTs does not need. */
const loadJose = () => import("jose");

/** Which JWTs are accepted, and what they allow. */
export interface JwtSettings {
  readonly issuer: string;
  readonly audience: string;
  /** The claim with the tenant, without which a token is refused; undefined: all tokens are of the tenant "". */
  readonly tenantClaim: string | undefined;
  /** The claim with the scopes: a list, or words separated by spaces. Words that are no scopes are ignored. */
  readonly scopeClaim: string;
  /** The scopes of tokens without that claim. */
  readonly defaultScopes: readonly Scope[];
}

/** Options of a JwtVerifier. */
export interface JwtOptions {
  readonly settings: JwtSettings;
  readonly keyOf: JWTVerifyGetKey;
  /** Wall time. */
  readonly nowMs: () => number;
}

/** Signatures by public keys only: with a shared secret, whoever can check a token can also make one. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** Clocks of issuers may differ by this much. */
const CLOCK_TOLERANCE_SECONDS = 5;
const MAX_ID_CHARACTERS = 128;

/** Verifies JSON Web Tokens (RFC 7519, RFC 8725). */
export class JwtVerifier {
  readonly #options: JwtOptions;

  constructor(options: JwtOptions) {
    this.#options = options;
  }

  /** Wall time. */
  nowMs(): number {
    return this.#options.nowMs();
  }

  /** The grant of a token; undefined if it is invalid. Throws KeysUnavailable. */
  async verify(token: string): Promise<Grant | undefined> {
    const { settings: { issuer, audience }, keyOf, nowMs } = this.#options;
    const { errors, jwtVerify } = await loadJose();
    try {
      const { payload } = await jwtVerify(token, keyOf, {
        algorithms: ALGORITHMS,
        issuer,
        audience,
        requiredClaims: ["exp"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(nowMs()),
      });
      return this.#grantOf(payload);
    } catch (error) {
      // TypeError: the key is of another kind than the algorithm, or too short.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }

  #grantOf(payload: JWTPayload): Grant | undefined {
    const { tenantClaim, scopeClaim, defaultScopes } = this.#options.settings;
    const tenant = tenantClaim === undefined ? "" : payload[tenantClaim];
    if (typeof tenant !== "string" || tenant.length > MAX_TENANT_BYTES || !/^[\x20-\x7e]*$/.test(tenant)) {
      return undefined;
    }
    return {
      tokenId: `jwt:${(payload.sub ?? "").replaceAll(/[^\x21-\x7e]/g, "?").slice(0, MAX_ID_CHARACTERS)}`,
      tenant,
      anyTenant: false,
      prefix: "",
      scopes: new Set(scopesIn(payload[scopeClaim]) ?? defaultScopes),
      expiresMs: ((payload.exp ?? 0) + CLOCK_TOLERANCE_SECONDS) * 1000,
    };
  }
}

/** True for a text that has the form of a signed JWT (RFC 7515, 7.1). The tokens of token files have no dots. */
export function isJwt(secret: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(secret);
}

/** The scopes in a claim; undefined if the token does not have it. */
function scopesIn(claim: unknown): readonly Scope[] | undefined {
  if (claim === undefined) return undefined;
  const words: readonly unknown[] = typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [];
  return SCOPES.filter((scope) => words.includes(scope));
}

/** A load of the keys: those that are in effect now, or the failure. */
export type KeyLoad =
  | { readonly outcome: "loaded"; readonly keys: number }
  | { readonly outcome: "failed"; readonly error: unknown };

/** Options of RemoteKeys. */
export interface RemoteKeysOptions {
  /** Reads the text of the key set. Rejects if it cannot be read. */
  readonly read: () => Promise<string>;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Called with keys that differ from those before, and with each failure. */
  readonly onLoad: (load: KeyLoad) => void;
}

/** Shortest time between two loads that tokens cause, so that tokens of unknown keys cannot cause many. */
export const COOLDOWN_MS = 30_000;

/** Thrown for a token while it is not known whether its key is valid, because the keys could not be loaded. */
export class KeysUnavailable extends Error {
  override readonly name = "KeysUnavailable";
}

/** The public keys (JWKS, RFC 7517) of an issuer. If they cannot be loaded anew, those before stay in effect. */
export class RemoteKeys {
  readonly #options: RemoteKeysOptions;
  #text = "";
  #keyOf: JWTVerifyGetKey | undefined;
  #hasFailed = false;
  #triedMs = -Infinity;
  #loading: Promise<void> | undefined;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
  }

  /** Loads the keys, in one load for all who ask meanwhile. Never throws. */
  async load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => this.#loading = undefined);
    await this.#loading;
  }

  /** The key of a token. Throws KeysUnavailable, or an error of jose. */
  readonly keyOf: JWTVerifyGetKey = async (header, token) => {
    try {
      return await this.#knownKey(header, token);
    } catch (error) {
      const { errors } = await loadJose();
      const mayBeNew = error instanceof errors.JWKSNoMatchingKey || error instanceof KeysUnavailable;
      if (!mayBeNew) throw error;
    }
    // If a load ended meanwhile, its keys are looked at below.
    if (this.#loading !== undefined || this.#options.nowMs() - this.#triedMs >= COOLDOWN_MS) await this.load();
    try {
      return await this.#knownKey(header, token);
    } catch (error) {
      throw this.#missing(error);
    }
  };

  async #knownKey(...[header, token]: Parameters<JWTVerifyGetKey>): Promise<Awaited<ReturnType<JWTVerifyGetKey>>> {
    if (this.#keyOf === undefined) throw new KeysUnavailable("find key of token: no keys were loaded");
    return await this.#keyOf(header, token);
  }

  #missing(cause: unknown): unknown {
    return this.#hasFailed ? new KeysUnavailable("find key of token: the keys could not be loaded", { cause }) : cause;
  }

  async #load(): Promise<void> {
    this.#triedMs = this.#options.nowMs();
    try {
      const text = await this.#options.read();
      if (text === this.#text && !this.#hasFailed) return;
      const keySet = parseKeySet(text);
      const { createLocalJWKSet } = await loadJose();
      this.#keyOf = createLocalJWKSet(keySet);
      this.#text = text;
      this.#hasFailed = false;
      this.#options.onLoad({ outcome: "loaded", keys: keySet.keys.length });
    } catch (error) {
      this.#hasFailed = true;
      this.#options.onLoad({ outcome: "failed", error });
    }
  }
}

/** Throws VitrineError (bad_request) for a text that is no key set, or has no keys. */
function parseKeySet(text: string): JSONWebKeySet {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys)) {
      if (value.keys.length === 0) throw new Error("it has no keys");
      return { keys: value.keys };
    }
    throw new Error("it has no list of keys");
  } catch (cause) {
    throw new VitrineError("bad_request", "parse key set", { cause });
  }
}
