import { createHash } from "node:crypto";
import { VitrineError } from "../../src/core/errors.ts";
import type { Call } from "../call.ts";
import { noneMatchNames } from "../http/preconditions.ts";
import { refusal } from "../http/refusal.ts";
import { type PageFile, type PagePort, readPageFiles } from "./page_files.ts";
import type { Route } from "../route.ts";

const importMap = /<script type="importmap">(?<text>[^<]*)<\/script>/;

/** Nothing from elsewhere and nothing inline but the import map, which is named by its digest. */
function securityPolicy({ bytes }: PageFile): string {
  const text = importMap.exec(new TextDecoder().decode(bytes))?.groups?.["text"] ?? "";
  const digest = createHash("sha256").update(text).digest("base64");
  return `default-src 'self'; script-src 'self' 'sha256-${digest}'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

function sendFile(
  call: Call,
  { headers }: Request,
  { file, more = {} }: { readonly file: PageFile; readonly more?: Readonly<Record<string, string>> },
): Response {
  const { bytes, type, etag } = file;
  const shared = { etag, "cache-control": "no-cache", "x-content-type-options": "nosniff", ...more };
  const noneMatch = headers.get("if-none-match");
  if (noneMatch !== null && noneMatchNames(noneMatch, etag)) {
    return new Response(null, { status: 304, headers: shared });
  }
  call.answers(bytes.byteLength);
  return new Response(bytes, {
    headers: { ...shared, "content-type": type, "content-length": String(bytes.byteLength) },
  });
}

/** The page that shows what happens inside, and the files it consists of. */
export function pageRoutes(port: PagePort): readonly Route[] {
  const files = readPageFiles(port);
  const index = files.get("index.html");
  if (index === undefined) throw new Error("read page: no index.html");
  const policy = { "content-security-policy": securityPolicy(index), "referrer-policy": "no-referrer" };
  const unchanged = { description: "`If-None-Match` names what the browser has" };
  return [
    {
      method: "GET",
      template: "/",
      spec: {
        summary: "A page that shows what happens inside, live",
        tags: ["status"],
        responses: { 200: { description: "HTML" }, 304: unchanged },
      },
      handler: (call, request) => sendFile(call, request, { file: index, more: policy }),
    },
    {
      method: "GET",
      template: "/page/{file}",
      spec: {
        summary: "What the page consists of",
        tags: ["status"],
        responses: { 200: { description: "A file" }, 304: unchanged, 404: refusal("No such file") },
      },
      handler: (call, request) => {
        const file = files.get(call.located.parameter);
        if (file === undefined) throw new VitrineError("not_found", "find file of the page: no such file");
        return sendFile(call, request, { file });
      },
    },
  ];
}
