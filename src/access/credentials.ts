import { Buffer } from "node:buffer";

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
