import { Hono } from "hono";
import { describeRoute, generateSpecs } from "hono-openapi";
import { TIER_PATH } from "../src/core/tier_protocol.ts";
import type { AdminOptions } from "./app_options.ts";
import { WEBDAV } from "./clients/webdav.ts";
import type { Env } from "./exchange.ts";
import { replyJson, replyText } from "./http/reply.ts";

/** The specification of all routes of `app`, and a page to browse it. */
export function openapiRoutes({ version }: AdminOptions, app: Hono<Env>): Hono<Env> {
  const routes = new Hono<Env>();
  routes.get(
    "/openapi.json",
    describeRoute({
      summary: "This specification",
      tags: ["status"],
      responses: { 200: { description: "OpenAPI 3.1" } },
    }),
    async (c) => replyJson(c.get("exchange"), await specification(app, version["version"] ?? "")),
  );
  routes.get(
    "/docs",
    describeRoute({
      summary: "The specification as a page",
      tags: ["status"],
      responses: { 200: { description: "HTML" } },
    }),
    (c) => replyText(c.get("exchange"), DOCS_PAGE, { type: "text/html; charset=utf-8" }),
  );
  return routes;
}

function specification(app: Hono<Env>, version: string): Promise<object> {
  return generateSpecs(app, {
    // The same route without its parameter; the interface of servers in front of this one; WebDAV, whose methods a
    // specification cannot have.
    exclude: [/.\/$/, new RegExp(`^${TIER_PATH}(/|$)`), new RegExp(`^${WEBDAV}`)],
    // /openapi.json is a route, not a file.
    excludeStaticFile: false,
    documentation: {
      info: {
        title: "Vitrine",
        version,
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

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
summary { cursor: pointer; padding: .4rem 0; }
summary b { display: inline-block; min-width: 4.5rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
td, th { border: 1px solid #8886; padding: .2rem .6rem; text-align: left; vertical-align: top; }
pre { overflow: auto; padding: .5rem; border: 1px solid #8886; }
`;

const SCRIPT = `
const spec = await (await fetch("/openapi.json")).json();
const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children);
  return made;
};
const table = (head, rows) => {
  const line = (cell) => (row) => element("tr", ...row.map((text) => element(cell, text ?? "")));
  return element("table", line("th")(head), ...rows.map(line("td")));
};
const schemas = (content) => Object.entries(content ?? {}).flatMap(([type, { schema }]) =>
  [element("p", element("code", type)), element("pre", JSON.stringify(schema, null, 2))]);
document.querySelector("h1").textContent = spec.info.title + " " + spec.info.version;
document.querySelector("#about").textContent = spec.info.description;
for (const [path, methods] of Object.entries(spec.paths)) {
  for (const [method, { summary, parameters = [], requestBody, responses }] of Object.entries(methods)) {
    const details = element("details", element("summary", element("b", method.toUpperCase()), element("code", path), " " + summary));
    if (parameters.length > 0) {
      details.append(table(["parameter", "in", "meaning"], parameters.map((p) => [p.name, p.in, p.description])));
    }
    details.append(...schemas(requestBody?.content));
    details.append(table(["status", "meaning"], Object.entries(responses).map(([status, r]) => [status, r.description])));
    for (const [status, { content }] of Object.entries(responses)) {
      if (status < 300) details.append(...schemas(content));
    }
    document.body.append(details);
  }
}
`;

/** Draws /openapi.json and loads nothing from elsewhere. */
const DOCS_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Vitrine: the HTTP interface</title>
<style>${STYLE}</style>
<h1>Vitrine</h1>
<p id="about"></p>
<p><a href="/">What happens inside, live</a> · <a href="/openapi.json">openapi.json</a></p>
<script type="module">${SCRIPT}</script>
</html>
`;
