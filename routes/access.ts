import { resolver } from "hono-openapi";
import * as v from "valibot";
import { type Scope, SCOPES } from "../src/access/grant.ts";
import { replyJson } from "./http/reply.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Route } from "./route.ts";

const scope = v.picklist(SCOPES);
const accessSchema = v.object({
  open: v.pipe(v.boolean(), v.description("No tokens are configured: whoever reaches the server may do everything.")),
  exposed: v.pipe(v.boolean(), v.description("It listens on more than its machine's loopback.")),
  token: v.optional(v.pipe(v.string(), v.description("The token's id."))),
  scopes: v.array(scope),
  tenant: v.optional(v.pipe(v.string(), v.description("Whose objects; missing: the request says."))),
  prefix: v.pipe(v.string(), v.description("Every key has to start with it.")),
});

/** What the one who asks may do. */
export function accessRoutes({ access, isExposed }: AdminOptions): readonly Route[] {
  return [{
    method: "GET",
    template: "/v1/access",
    scopes: SCOPES,
    spec: {
      summary: "What you may do",
      tags: ["status"],
      responses: {
        200: {
          description: "What the token allows",
          content: { "application/json": { schema: resolver(accessSchema) } },
        },
      },
    },
    handler: (call) => {
      const { tokenId, scopes, tenant, anyTenant, prefix } = call.grant;
      const answer: v.InferInput<typeof accessSchema> = {
        open: access.isOpen,
        exposed: isExposed,
        ...(tokenId === "" ? {} : { token: tokenId }),
        scopes: SCOPES.filter((each: Scope) => scopes.has(each)),
        ...(anyTenant ? {} : { tenant }),
        prefix,
      };
      return replyJson(call, answer);
    },
  }];
}
