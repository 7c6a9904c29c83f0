import { type Scope, SCOPES } from "./scope.ts";

/** What the holder of a token may do, and with whose objects. Holds no secret. */
export interface Grant {
  /** The token's id; "" where no tokens are configured. */
  readonly tokenId: string;
  /** Whose objects; with `anyTenant` only where the request names no tenant. */
  readonly tenant: string;
  /** Whether the request may name any tenant. */
  readonly anyTenant: boolean;
  /** Every key has to start with it. */
  readonly prefix: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** What everybody may do where no tokens are configured. */
export const OPEN_GRANT: Grant = {
  tokenId: "",
  tenant: "",
  anyTenant: true,
  prefix: "",
  scopes: new Set(SCOPES),
};
