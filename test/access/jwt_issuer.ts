import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export const ISSUER = "https://issuer.example";
export const AUDIENCE = "vitrine";

/** A key of an issuer. */
export interface IssuerKey {
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
  readonly alg: string;
}

/** Makes a key pair; the public half has its id and algorithm. */
export async function issuerKey(kid: string, alg = "ES256"): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { jwk: { ...await exportJWK(publicKey), kid, alg, use: "sig" }, privateKey, alg };
}

/**
 * Signs a token that is valid for five minutes, unless the claims say something else. `without`: claims to leave out.
 */
export function sign(
  { jwk, privateKey, alg }: IssuerKey,
  claims: JWTPayload,
  { nowMs, without = [] }: { readonly nowMs: number; readonly without?: readonly string[] },
): Promise<string> {
  const own = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: "repo:x",
    exp: Math.floor(nowMs / 1000) + 300,
    tenant: "t",
    scope: "openid read",
  };
  const all = Object.fromEntries(Object.entries({ ...own, ...claims }).filter(([name]) => !without.includes(name)));
  const kid = jwk.kid === undefined ? {} : { kid: jwk.kid };
  return new SignJWT(all).setProtectedHeader({ alg, ...kid }).sign(privateKey);
}

/** The text of a key set. */
export function keySet(...keys: readonly IssuerKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
}
