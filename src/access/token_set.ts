import type { Grant } from "./grant.ts";
import { parsePasswordHash, type PasswordHash } from "./password_hash.ts";
import { sha256Of, type TokenEntry } from "./token_entry.ts";

/** A person's password and its grant. */
export interface PasswordEntry {
  readonly hash: PasswordHash;
  readonly grant: Grant;
}

/** Tokens by the hash of their secret, and passwords by their id. */
export class TokenSet {
  readonly #bySha256 = new Map<string, Grant>();
  readonly #passwords = new Map<string, PasswordEntry>();

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
      const hash = entry.scrypt === undefined ? undefined : parsePasswordHash(entry.scrypt);
      if (hash !== undefined) this.#passwords.set(entry.id, { hash, grant });
    }
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
