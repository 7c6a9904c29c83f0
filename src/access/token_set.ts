import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { parsePasswordHash, type PasswordHash } from "./password_hash.ts";
import { type Signature, signingKeyOf } from "./sigv4.ts";
import { type Grant, sha256Of, type TokenEntry } from "./tokens.ts";

/** A person's password and its grant. */
export interface PasswordEntry {
  readonly hash: PasswordHash;
  readonly grant: Grant;
}

/** Tokens by the hash of their secret, and passwords by their id. */
export class TokenSet {
  readonly #bySha256 = new Map<string, Grant>();
  readonly #passwords = new Map<string, PasswordEntry>();
  readonly #keyPairs = new Map<string, KeyPair>();

  constructor(entries: readonly TokenEntry[]) {
    for (const entry of entries) {
      const grant = {
        tokenId: entry.id,
        tenant: entry.tenant,
        anyTenant: entry.any_tenant,
        prefix: entry.prefix,
        scopes: new Set(entry.scopes),
      };
      if (entry.sha256 !== undefined) this.#bySha256.set(entry.sha256, grant);
      if (entry.s3 !== undefined) this.#keyPairs.set(entry.id, { grant, salt: entry.s3 });
      const hash = entry.scrypt === undefined ? undefined : parsePasswordHash(entry.scrypt);
      if (hash !== undefined) this.#passwords.set(entry.id, { hash, grant });
    }
  }

  /** Key pairs of S3 clients by their access key ids. */
  get keyPairs(): ReadonlyMap<string, KeyPair> {
    return this.#keyPairs;
  }

  /**
   * Finds the grant of a secret by its hash. The time this takes can reveal only which hashes are similar, which does
   * not help to find a secret.
   */
  bySecret(secret: string): Grant | undefined {
    return this.#bySha256.get(sha256Of(secret));
  }

  /**
   * The password of an id. For an unknown id it returns another password, so that the check takes as long. Undefined if
   * there are no passwords at all.
   */
  password(id: string): { readonly entry: PasswordEntry; readonly exists: boolean } | undefined {
    const entry = this.#passwords.get(id);
    if (entry !== undefined) return { entry, exists: true };
    for (const other of this.#passwords.values()) return { entry: other, exists: false };
    return undefined;
  }
}

/** A token for S3 clients: its access key id is the id of the token. */
export interface KeyPair {
  readonly grant: Grant;
  /** From `newSalt`; another salt makes another secret. */
  readonly salt: string;
}

/** Maximum number of signing keys that are remembered. */
const MAX_REMEMBERED = 1024;

/**
 * The key pairs of a server. Their secrets are in no file: each is derived from the server's key, the id and a salt.
 */
export class KeyPairs {
  readonly #serverKey: string | undefined;
  #byId: ReadonlyMap<string, KeyPair> = new Map();
  readonly #signingKeys = new Map<string, Uint8Array>();

  /** Without a key of the server there are no key pairs. */
  constructor(serverKey: string | undefined) {
    this.#serverKey = serverKey;
  }

  replace(byId: ReadonlyMap<string, KeyPair>): void {
    this.#byId = byId;
    this.#signingKeys.clear();
  }

  /** The grant of a signature's key pair and the key that it must be made with; undefined: the pair is not known. */
  find(signature: Signature): { readonly grant: Grant; readonly signingKey: Uint8Array } | undefined {
    const { accessKeyId, day, region } = signature;
    const pair = this.#byId.get(accessKeyId);
    if (pair === undefined || this.#serverKey === undefined) return undefined;
    const name = `${accessKeyId}/${day}/${region}`;
    let signingKey = this.#signingKeys.get(name);
    if (signingKey === undefined) {
      signingKey = signingKeyOf(secretOf(this.#serverKey, accessKeyId, pair.salt), signature);
      if (this.#signingKeys.size >= MAX_REMEMBERED) this.#signingKeys.clear();
      this.#signingKeys.set(name, signingKey);
    }
    return { grant: pair.grant, signingKey };
  }
}

/** The secret access key of a key pair: 256 bits. */
export function secretOf(serverKey: string, accessKeyId: string, salt: string): string {
  return createHmac("sha256", serverKey).update(`vitrine s3 key pair\0${accessKeyId}\0${salt}`).digest("base64url");
}

/** A salt for a new key pair, in hexadecimal digits. */
export function newSalt(random: (bytes: number) => Uint8Array = randomBytes): string {
  return Buffer.from(random(16)).toString("hex");
}
