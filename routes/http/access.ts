import type { MiddlewareHandler } from "hono";
import { uniqueSymbol } from "hono-openapi";
import type { Access, Denial } from "../../src/access/access.ts";
import type { Grant, Scope } from "../../src/access/grant.ts";
import { type ErrorCode, VitrineError } from "../../src/core/errors.ts";
import { MAX_TENANT_BYTES } from "../../src/core/key.ts";
import type { Exchange } from "../exchange.ts";
import type { Env } from "../env.ts";
import { refusal } from "./problem.ts";
const CODES: Readonly<Record<Denial["denied"], ErrorCode>> = {
  missing: "unauthorized",
  unknown: "unauthorized",
  limited: "too_many_failures",
  busy: "busy",
};

/** The text does not depend on what is wrong, so that it reveals no tokens. */
const MESSAGES: Readonly<Record<Denial["denied"], string>> = {
  missing: "check token: a token that is known is needed",
  unknown: "check token: a token that is known is needed",
  limited: "check token: too many that are not known came from this address",
  busy: "check token: too many passwords are being checked",
};

const REFUSALS = {
  401: refusal("No token, or one that is not known"),
  403: refusal("The token does not allow this, or the page of another origin asks"),
  429: refusal("Too many wrong tokens or passwords came from this address"),
};

/** Admits tokens with one of the scopes; everybody, where no tokens are configured. */
export interface Guard {
  readonly access: Access;
  readonly scopes: readonly Scope[];
}

/** Lets in only requests whose token has one of the scopes, and says so in the specification. */
export function allow(guard: Guard): MiddlewareHandler<Env> {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    await admit(c.get("exchange"), c.req.raw, guard);
    await next();
  };
  const spec = {
    description: `Where tokens are configured, for tokens of scope ${guard.scopes.join(" or ")}.`,
    // The first alternative is for servers without tokens.
    security: [{}, { bearer: [] }, { basic: [] }],
    responses: REFUSALS,
  };
  return Object.assign(middleware, { [uniqueSymbol]: { spec } });
}

/**
 * Notes in the exchange what its token allows, and throws if that is not enough. Returns a promise only if the token
 * has to be checked with a password hash.
 */
export function admit(exchange: Exchange, request: Request, { access, scopes }: Guard): Promise<void> | undefined {
  const authorization = request.headers.get("authorization");
  const found = access.cached(authorization) ?? access.grantOf(authorization, () => addressOf(exchange, request));
  if (found instanceof Promise) return found.then((later) => check(exchange, request, { found: later, scopes }));
  check(exchange, request, { found, scopes });
  return undefined;
}

/** Publishes that the token does not allow the request, and throws forbidden. */
export function forbid(exchange: Exchange, request: Request): never {
  exchange.refused("forbidden", addressOf(exchange, request));
  throw new VitrineError("forbidden", "check token: it does not allow this");
}

function check(
  exchange: Exchange,
  request: Request,
  { found, scopes }: { readonly found: Grant | Denial; readonly scopes: readonly Scope[] },
): void {
  if ("denied" in found) throw denied(exchange, request, found);
  const asked = parseTenant(request);
  // The token decides. Another tenant in the header is refused, not replaced by the token's.
  const isOther = asked !== undefined && !found.anyTenant && asked !== found.tenant;
  exchange.admitted(found, isOther ? found.tenant : asked ?? found.tenant);
  if (isOther || !hasOneOf(found, scopes)) forbid(exchange, request);
}

function hasOneOf(grant: Grant, scopes: readonly Scope[]): boolean {
  for (const scope of scopes) if (grant.scopes.has(scope)) return true;
  return false;
}

function denied(exchange: Exchange, request: Request, { denied: reason, retryAfterSeconds }: Denial): VitrineError {
  exchange.refused(reason, addressOf(exchange, request));
  const details = reason === "limited" ? { retry_after_seconds: retryAfterSeconds } : {};
  return new VitrineError(CODES[reason], MESSAGES[reason], { details });
}

/** The tenant that a request names in `Vitrine-Tenant`. Throws bad_request. */
function parseTenant(request: Request): string | undefined {
  const tenant = request.headers.get("vitrine-tenant");
  if (tenant === null) return undefined;
  // The runtimes decode other bytes in a header differently.
  if (tenant.length > MAX_TENANT_BYTES || !/^[\x20-\x7e]*$/.test(tenant)) {
    throw new VitrineError(
      "bad_request",
      `parse Vitrine-Tenant: not at most ${MAX_TENANT_BYTES} printable ASCII characters`,
    );
  }
  return tenant;
}

function addressOf(exchange: Exchange, request: Request): string {
  return exchange.context.addressOf?.(request) ?? "";
}
