import { Hono } from "hono";
import { describeRoute } from "hono-openapi";
import { createHash } from "node:crypto";
import { extname } from "node:path";
import { VitrineError } from "../src/core/errors.ts";
import type { Env, Exchange } from "./exchange.ts";
import { noneMatchNames } from "./http/conditions.ts";
import { refusal } from "./http/reply.ts";
import { restPaths } from "./http/target.ts";
import { readPageSource } from "./page_source.ts";

/** One file of the page. */
interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Strong; made of the bytes. */
  readonly etag: string;
}

/**
 * The port that serves the page: on the admin port, which has neither objects nor /docs, the page has no links to them.
 */
export type PagePort = "service" | "admin";

const types = new Map([
  [".html", "text/html; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".svg", "image/svg+xml"],
]);

function pageFile(bytes: Uint8Array<ArrayBuffer>, type: string): PageFile {
  return { bytes, type, etag: `"${createHash("sha256").update(bytes).digest("base64url")}"` };
}

function indexFor(port: PagePort, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(
    new TextDecoder().decode(bytes).replace('data-port="service"', `data-port="${port}"`),
  );
}

/** Reads the page's files, by their path below page/. Throws if one cannot be read. */
export function readPageFiles(port: PagePort): ReadonlyMap<string, PageFile> {
  return new Map(
    Array.from(readPageSource()).flatMap(([name, bytes]) => {
      const type = types.get(extname(name));
      return type === undefined ? [] : [[name, pageFile(name === "index.html" ? indexFor(port, bytes) : bytes, type)]];
    }),
  );
}

/** The files of the page follow this in a path. */
const FILES = "/page/";

const importMap = /<script type="importmap">(?<text>[^<]*)<\/script>/;

/** Allows nothing from elsewhere, and nothing inline but the import map, which it names by its digest. */
function securityPolicy({ bytes }: PageFile): string {
  const text = importMap.exec(new TextDecoder().decode(bytes))?.groups?.["text"] ?? "";
  const digest = createHash("sha256").update(text).digest("base64");
  return `default-src 'self'; script-src 'self' 'sha256-${digest}'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

function sendFile(
  exchange: Exchange,
  { headers }: Request,
  { file, more = {} }: { readonly file: PageFile; readonly more?: Readonly<Record<string, string>> },
): Response {
  const { bytes, type, etag } = file;
  const shared = { etag, "cache-control": "no-cache", "x-content-type-options": "nosniff", ...more };
  const noneMatch = headers.get("if-none-match");
  if (noneMatch !== null && noneMatchNames(noneMatch, etag)) {
    return new Response(null, { status: 304, headers: shared });
  }
  exchange.answers(bytes.byteLength);
  return new Response(bytes, {
    headers: { ...shared, "content-type": type, "content-length": String(bytes.byteLength) },
  });
}

/** The page that shows the server live, and its files. */
export function pageRoutes(port: PagePort): Hono<Env> {
  const files = readPageFiles(port);
  const index = files.get("index.html");
  if (index === undefined) throw new Error("read page: no index.html");
  const policy = { "content-security-policy": securityPolicy(index), "referrer-policy": "no-referrer" };
  const unchanged = { description: "`If-None-Match` names the current file" };
  const app = new Hono<Env>();
  app.get(
    "/",
    describeRoute({
      summary: "A page that shows the server live",
      tags: ["status"],
      responses: { 200: { description: "HTML" }, 304: unchanged },
    }),
    (c) => sendFile(c.get("exchange"), c.req.raw, { file: index, more: policy }),
  );
  app.on(
    "GET",
    restPaths(FILES, "file"),
    describeRoute({
      summary: "A file of the page",
      tags: ["status"],
      responses: { 200: { description: "A file" }, 304: unchanged, 404: refusal("No such file") },
    }),
    (c) => {
      const file = files.get(c.req.path.slice(FILES.length));
      if (file === undefined) throw new VitrineError("not_found", "find file of the page: no such file");
      return sendFile(c.get("exchange"), c.req.raw, { file });
    },
  );
  return app;
}
