import type { MiddlewareHandler } from "hono";
import { uniqueSymbol } from "hono-openapi";
import type { Access, Denial } from "../../src/access/access.ts";
import type { Limits } from "../../src/access/limits.ts";
import type { Grant, Scope } from "../../src/access/tokens.ts";
import { type ErrorCode, VitrineError } from "../../src/core/errors.ts";
import { MAX_TENANT_BYTES, type ObjectKey } from "../../src/core/object.ts";
import type { Env, Exchange } from "../exchange.ts";
import { refusal } from "./reply.ts";
import { checkKey, encodedKey, parseKey } from "./target.ts";

const CODES: Readonly<Record<Denial["denied"], ErrorCode>> = {
  missing: "unauthorized",
  unknown: "unauthorized",
  limited: "too_many_failures",
  busy: "busy",
  no_keys: "keys_unavailable",
};

/** The text does not depend on what is wrong, so that it reveals no tokens. */
const MESSAGES: Readonly<Record<Denial["denied"], string>> = {
  missing: "check token: a token that is known is needed",
  unknown: "check token: a token that is known is needed",
  limited: "check token: too many that are not known came from this address",
  busy: "check token: too many passwords or JWTs are being checked",
  no_keys: "check token: the keys of its issuer could not be loaded",
};

const REFUSALS = {
  401: refusal("No token, or one that is not known"),
  403: refusal("The token does not allow this, or the page of another origin asks"),
  429: refusal("Too many wrong tokens or passwords came from this address, or a limit of the tenant is reached"),
};

/** Admits tokens with one of the scopes; everybody, where no tokens are configured. */
export interface Guard {
  readonly access: Access;
  readonly scopes: readonly Scope[];
  /** Counts the requests and refuses those beyond a limit; default: none is. */
  readonly limits?: Limits | undefined;
}

/**
 * Lets in only requests whose token has one of the scopes, and says so in the specification; `refusals`: the answers to
 * all others there.
 */
export function allow(guard: Guard, refusals: Readonly<Record<string, object>> = REFUSALS): MiddlewareHandler<Env> {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    await admit(c.get("exchange"), c.req.raw, guard);
    await next();
  };
  const spec = {
    description: `Where tokens are configured, for tokens of scope ${guard.scopes.join(" or ")}.`,
    // The first alternative is for servers without tokens.
    security: [{}, { bearer: [] }, { basic: [] }],
    responses: refusals,
  };
  return Object.assign(middleware, { [uniqueSymbol]: { spec } });
}

/**
 * Notes in the exchange what its token allows, and throws if that is not enough. Returns a promise only if a
 * password or a JWT has to be checked.
 */
export function admit(exchange: Exchange, request: Request, guard: Guard): Promise<void> | undefined {
  const { access } = guard;
  const authorization = request.headers.get("authorization");
  const found = access.cached(authorization) ?? access.grantOf(authorization, () => exchange.addressOf(request));
  if (found instanceof Promise) return found.then((later) => admitAs(exchange, request, { ...guard, found: later }));
  admitAs(exchange, request, { found, scopes: guard.scopes, limits: guard.limits });
  return undefined;
}

/** Publishes that the token does not allow the request, and throws forbidden. */
export function forbid(exchange: Exchange, request: Request): never {
  exchange.refused("forbidden", exchange.addressOf(request));
  throw new VitrineError("forbidden", "check token: it does not allow this");
}

/** Like admit, of a request whose sender is known. */
export function admitAs(
  exchange: Exchange,
  request: Request,
  { found, scopes, limits }: Omit<Guard, "access"> & { readonly found: Grant | Denial },
): void {
  if ("denied" in found) throw denied(exchange, request, found);
  const asked = parseTenant(request);
  // The token decides. Another tenant in the header is refused, not replaced by the token's.
  const isOther = asked !== undefined && !found.anyTenant && asked !== found.tenant;
  exchange.admitted(found, isOther ? found.tenant : asked ?? found.tenant);
  if (isOther || !hasOneOf(found, scopes)) forbid(exchange, request);
  if (limits === undefined) return;
  exchange.entered(limits.enter(exchange.tenant, limits.countsUploads ? announcedBytes(request) : 0));
}

/** The length of the body according to the request; 0 if it does not tell, or is refused for it later. */
function announcedBytes({ method, headers }: Request): number {
  return method === "PUT" ? Number(headers.get("content-length") ?? 0) : 0;
}

function hasOneOf(grant: Grant, scopes: readonly Scope[]): boolean {
  for (const scope of scopes) if (grant.scopes.has(scope)) return true;
  return false;
}

/** Publishes that nobody is known to have sent the request, and returns the error. */
export function denied(
  exchange: Exchange,
  request: Request,
  { denied: reason, retryAfterSeconds }: Denial,
): VitrineError {
  exchange.refused(reason, exchange.addressOf(request));
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

/** The object that the path of a request names. Throws bad_key; forbidden if the token is for other keys. */
export function parseObjectKey(exchange: Exchange, request: Request): ObjectKey {
  return objectOf(exchange, request, parseKey(encodedKey(exchange.path)));
}

/** The object that the body of a request names. Throws bad_key; forbidden if the token is for other keys. */
export function namedObject(exchange: Exchange, request: Request, key: string): ObjectKey {
  return objectOf(exchange, request, checkKey(key));
}

/** The object of the exchange's tenant with this key. Throws forbidden if the token is for other keys. */
export function objectOf(exchange: Exchange, request: Request, key: string): ObjectKey {
  if (!key.startsWith(exchange.grant.prefix)) forbid(exchange, request);
  const object = { tenant: exchange.tenant, key };
  return exchange.requestId === undefined ? object : { ...object, requestId: exchange.requestId };
}

/** The longer one of a query's prefix and the token's. Throws forbidden unless one begins with the other. */
export function allowedPrefix(exchange: Exchange, request: Request, asked: string): string {
  const { prefix } = exchange.grant;
  if (asked.startsWith(prefix)) return asked;
  return prefix.startsWith(asked) ? prefix : forbid(exchange, request);
}
