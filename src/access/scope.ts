/**
 * The scopes of tokens. `write` stores and replaces, `create-only` stores what is not there yet; `metrics` reads
 * /metrics alone, `admin` all that tells how the server is. None implies another.
 */
export const SCOPES = ["read", "write", "create-only", "delete", "metrics", "admin"] as const;

/** One thing that a token may do. */
export type Scope = (typeof SCOPES)[number];
