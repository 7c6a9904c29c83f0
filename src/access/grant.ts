import { type Scope, SCOPES } from "./scope.ts";

/** The rights of a request, and whose objects they are for. Holds no secret. */
export interface Grant {
  /** The token's id; "" where no tokens are configured. */
  readonly tokenId: string;
  /** Whose objects; with `anyTenant` only where the request names no tenant. */
  readonly tenant: string;
  /** True if the request may name any tenant. */
  readonly anyTenant: boolean;
  /** Every key has to start with it. */
  readonly prefix: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** The rights of everybody where no tokens are configured. */
export const OPEN_GRANT: Grant = {
  tokenId: "",
  tenant: "",
  anyTenant: true,
  prefix: "",
  scopes: new Set(SCOPES),
};
