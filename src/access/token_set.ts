import type { Grant } from "./grant.ts";
import { parsePasswordHash, type PasswordHash } from "./password_hash.ts";
import { sha256Of, type TokenEntry } from "./token_entry.ts";

/** A person's password and what it grants. */
export interface PasswordEntry {
  readonly kept: PasswordHash;
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
      const kept = entry.scrypt === undefined ? undefined : parsePasswordHash(entry.scrypt);
      if (kept !== undefined) this.#passwords.set(entry.id, { kept, grant });
    }
  }

  /**
   * Looks up the hash of the secret: whoever measures how long that takes learns of hashes that are near, which helps
   * nobody to find a secret.
   */
  bySecret(secret: string): Grant | undefined {
    return this.#bySha256.get(sha256Of(secret));
  }

  /**
   * The password of an id; of an id that is not there another one, so that asking takes as long. Undefined where there
   * are no passwords at all.
   */
  password(id: string): { readonly entry: PasswordEntry; readonly isThere: boolean } | undefined {
    const entry = this.#passwords.get(id);
    if (entry !== undefined) return { entry, isThere: true };
    for (const other of this.#passwords.values()) return { entry: other, isThere: false };
    return undefined;
  }
}
