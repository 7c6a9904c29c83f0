import { Hono } from "hono";
import { describeRoute, generateSpecs, validator } from "hono-openapi";
import { docsPage } from "./docs_page.ts";
import { refusal } from "./http/refusal.ts";
import { replyJson, replyText } from "./http/reply.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Route } from "./route.ts";

const REFUSALS = {
  401: refusal("No token, or one that is not known"),
  403: refusal("The token does not allow this, or the page of another origin asks"),
  429: refusal("Too many wrong tokens or passwords came from this address"),
};

/** The specification of `routes` and of these two, and a page to browse it. */
export function openapiRoutes({ version }: AdminOptions, routes: readonly Route[]): readonly Route[] {
  const own: readonly Route[] = [
    {
      method: "GET",
      template: "/openapi.json",
      spec: { summary: "This specification", tags: ["status"], responses: { 200: { description: "OpenAPI 3.1" } } },
      handler: async (call) => replyJson(call, await specification([...routes, ...own], version)),
    },
    {
      method: "GET",
      template: "/docs",
      spec: { summary: "The specification as a page", tags: ["status"], responses: { 200: { description: "HTML" } } },
      handler: (call) => replyText(call, docsPage(), { type: "text/html; charset=utf-8" }),
    },
  ];
  return own;
}

/** The descriptions are middleware; they live in an app of their own, so that no request runs through them. */
function specification(routes: readonly Route[], version: AdminOptions["version"]): Promise<object> {
  const described = new Hono();
  for (const { method, template, spec, query, scopes } of routes) {
    const middleware = query === undefined ? [] : [validator("query", query)];
    const whole = scopes === undefined ? spec : {
      ...spec,
      description: `Where tokens are configured, for tokens of scope ${scopes.join(" or ")}.`,
      // Or none of them, where no tokens are configured.
      security: [{}, { bearer: [] }, { basic: [] }],
      responses: { ...spec.responses, ...REFUSALS },
    };
    described.on(method, template, describeRoute(whole), ...middleware);
  }
  return generateSpecs(described, {
    // The name is a path, not a file.
    excludeStaticFile: false,
    documentation: {
      info: {
        title: "Vitrine",
        version: version["version"] ?? "",
        description: "The HTTP cache you can see into. Refusals are application/problem+json (RFC 9457).",
      },
      components: {
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer", description: "A token." },
          basic: {
            type: "http",
            scheme: "basic",
            description: "A token as the password, with any user name; or the id and the password of a person.",
          },
        },
      },
    },
  });
}
