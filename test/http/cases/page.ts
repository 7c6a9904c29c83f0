import { expect } from "bun:test";
import type { ContractCase } from "../contract_client.ts";

/** The page at `/` and its files. */
export const pageCases: readonly ContractCase[] = [
  {
    name: "GET / is a page that may load nothing from elsewhere",
    async run(client) {
      const response = await client.fetch("/");
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
      expect(response.headers.get("content-security-policy")).toMatch(
        /^default-src 'self'; script-src 'self' 'sha256-[\w+/]{43}='; object-src 'none'; base-uri 'none'/,
      );
      const page = await response.text();
      expect(page).toMatch(/^<!doctype html>/i);
      expect(page).not.toMatch(/(?:src|href)="?(?:https?:)?\/\//);
    },
  },
  {
    name: "GET /page/{file} answers every file that the page and its modules name",
    async run(client) {
      const base = "http://page/";
      const todo = [base];
      const seen = new Set(todo);
      for (const url of todo) {
        const { pathname } = new URL(url);
        const response = await client.fetch(pathname);
        expect([pathname, response.status, response.headers.get("x-content-type-options")])
          .toEqual([pathname, 200, "nosniff"]);
        const text = await response.text();
        if (url.includes("uplot")) continue;
        const named = url === base
          ? text.matchAll(/(?:src|href)="(?<path>page\/[^"]+)"|"uplot": "(?<mapped>[^"]+)"/g)
          : text.matchAll(/from "(?<path>\.[^"]+)"/g);
        for (const { groups } of named) {
          const next = new URL(groups?.["path"] ?? groups?.["mapped"] ?? "", url).href;
          if (!seen.has(next)) todo.push(next);
          seen.add(next);
        }
      }
      expect([...seen]).toContain("http://page/page/uplot.js");
      expect(seen.size).toBeGreaterThan(20);
    },
  },
  {
    name: "GET /page/{file} answers 304 when the browser has the file, and HEAD its headers",
    async run(client) {
      const first = await client.fetch("/page/main.js");
      const etag = first.headers.get("etag") ?? "";
      const length = String((await first.arrayBuffer()).byteLength);
      const again = await client.fetch("/page/main.js", { headers: { "if-none-match": etag } });
      expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
      const head = await client.fetch("/page/main.js", { method: "HEAD" });
      expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, length, ""]);
    },
  },
  ...["nope.js", "../mod.ts", "..%2Froutes%2Fpage.ts", "%2e%2e/mod.ts", "index.html/", "page.ts"].map((
    file,
  ): ContractCase => ({
    name: `GET /page/${file} answers 404`,
    async run(client) {
      expect((await client.fetch(`/page/${file}`)).status).toBe(404);
    },
  })),
];
