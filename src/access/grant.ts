/**
 * The scopes of tokens. `write` stores and replaces, `create-only` stores what is not there yet; `metrics` reads
 * /metrics alone, `admin` all that tells how the server is. None implies another.
 */
export const SCOPES = ["read", "write", "create-only", "delete", "metrics", "admin"] as const;

/** One thing that a token may do. */
export type Scope = (typeof SCOPES)[number];

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
