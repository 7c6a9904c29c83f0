import type { Access, Denial } from "../../src/access/access.ts";
import type { Grant, Scope } from "../../src/access/grant.ts";
import { type ErrorCode, VitrineError } from "../../src/core/errors.ts";
import { MAX_TENANT_BYTES } from "../../src/core/key.ts";
import type { Call } from "../call.ts";
import type { Handler } from "../route.ts";

const CODES: Readonly<Record<Denial["denied"], ErrorCode>> = {
  missing: "unauthorized",
  unknown: "unauthorized",
  limited: "too_many_failures",
  busy: "busy",
};

/** The same text whatever is wrong: it tells nothing of which tokens there are. */
const MESSAGES: Readonly<Record<Denial["denied"], string>> = {
  missing: "check token: a token that is known is needed",
  unknown: "check token: a token that is known is needed",
  limited: "check token: too many that are not known came from this address",
  busy: "check token: too many passwords are being checked",
};

/** The handler, called only for requests whose token has one of the scopes; undefined lets everybody in. */
export function guarded(handler: Handler, scopes: readonly Scope[] | undefined, access: Access): Handler {
  if (scopes === undefined) return handler;
  return (call, request) => {
    const authorization = request.headers.get("authorization");
    const found = access.cached(authorization) ?? access.grantOf(authorization, () => addressOf(call, request));
    if (found instanceof Promise) {
      return found.then((later) => {
        admit(call, request, { found: later, scopes });
        return handler(call, request);
      });
    }
    admit(call, request, { found, scopes });
    return handler(call, request);
  };
}

/** Throws VitrineError (forbidden), with its event: the token does not allow what is asked. */
export function forbid(call: Call, request: Request): never {
  call.refused("forbidden", addressOf(call, request));
  throw new VitrineError("forbidden", "check token: it does not allow this");
}

function admit(
  call: Call,
  request: Request,
  { found, scopes }: { readonly found: Grant | Denial; readonly scopes: readonly Scope[] },
): void {
  if ("denied" in found) throw denied(call, request, found);
  const asked = parseTenant(request);
  // The token decides: a name in the header that is not its own is not quietly taken for its own.
  const isOther = asked !== undefined && !found.anyTenant && asked !== found.tenant;
  call.admitted(found, isOther ? found.tenant : asked ?? found.tenant);
  if (isOther || !hasOneOf(found, scopes)) forbid(call, request);
}

function hasOneOf(grant: Grant, scopes: readonly Scope[]): boolean {
  for (const scope of scopes) if (grant.scopes.has(scope)) return true;
  return false;
}

function denied(call: Call, request: Request, { denied: reason, retryAfterSeconds }: Denial): VitrineError {
  call.refused(reason, addressOf(call, request));
  const details = reason === "limited" ? { retry_after_seconds: retryAfterSeconds } : {};
  return new VitrineError(CODES[reason], MESSAGES[reason], { details });
}

/** The tenant that a request names in `Vitrine-Tenant`. Throws bad_request. */
function parseTenant(request: Request): string | undefined {
  const tenant = request.headers.get("vitrine-tenant");
  if (tenant === null) return undefined;
  // What the runtimes make of other bytes in a header differs.
  if (tenant.length > MAX_TENANT_BYTES || !/^[\x20-\x7e]*$/.test(tenant)) {
    throw new VitrineError(
      "bad_request",
      `parse Vitrine-Tenant: not at most ${MAX_TENANT_BYTES} printable ASCII characters`,
    );
  }
  return tenant;
}

function addressOf(call: Call, request: Request): string {
  return call.context.addressOf?.(request) ?? "";
}
