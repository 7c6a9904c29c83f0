import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { formatPasswordHash, hashPassword } from "./password_hash.ts";
import type { TokenEntry } from "./token_entry.ts";
import { sha256Of } from "./token_set.ts";

/** The rights of a new token. */
export type TokenRights = Omit<TokenEntry, "sha256" | "scrypt">;

const SECRET_BYTES = 32;
/** By which scanners for secrets know it. */
const SECRET_PREFIX = "vit_";

/**
 * Makes a token: its secret, of 256 random bits, and the entry that knows only its hash. A secret of so many bits needs
 * no slow hash.
 */
export function createToken(
  rights: TokenRights,
  random: (bytes: number) => Uint8Array = randomBytes,
): { readonly secret: string; readonly entry: TokenEntry } {
  const secret = SECRET_PREFIX + Buffer.from(random(SECRET_BYTES)).toString("base64url");
  return { secret, entry: { ...rights, sha256: sha256Of(secret) } };
}

/** The entry of a person's password, which gets a slow hash. */
export async function createPassword(rights: TokenRights, password: string): Promise<TokenEntry> {
  return { ...rights, scrypt: formatPasswordHash(await hashPassword(password)) };
}
