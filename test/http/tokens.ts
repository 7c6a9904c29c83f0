import { createToken, type TokenEntry, type TokenRights } from "../../src/access/tokens.ts";

/** Makes a token for a test, with rights of the tenant "" and no prefix unless told otherwise. */
export function testToken(
  id: string,
  rights: Partial<TokenRights>,
): { readonly secret: string; readonly entry: TokenEntry; readonly bearer: { readonly authorization: string } } {
  const { secret, entry } = createToken({
    id,
    scopes: [],
    tenant: "",
    any_tenant: false,
    prefix: "",
    ...rights,
  });
  return { secret, entry, bearer: { authorization: `Bearer ${secret}` } };
}
