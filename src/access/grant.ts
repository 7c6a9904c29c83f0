/**
 * The scopes of tokens; none implies another. `write` stores and replaces objects, `create-only` stores only new ones.
 * `metrics` reads /metrics, `admin` reads everything about the state of the server.
 */
export const SCOPES = ["read", "write", "create-only", "delete", "metrics", "admin"] as const;

/** A permission of a token. */
export type Scope = (typeof SCOPES)[number];

/** The permissions of a request and the objects they apply to. Contains no secret. */
export interface Grant {
  /** The id of the token; "" if no tokens are configured. */
  readonly tokenId: string;
  /** The tenant; with `anyTenant`, the default for a request that names none. */
  readonly tenant: string;
  /** True if the request may name any tenant. */
  readonly anyTenant: boolean;
  /** Keys must start with this prefix. */
  readonly prefix: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** The grant of every request if no tokens are configured. */
export const OPEN_GRANT: Grant = {
  tokenId: "",
  tenant: "",
  anyTenant: true,
  prefix: "",
  scopes: new Set(SCOPES),
};
