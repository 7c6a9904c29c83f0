import { expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { memoryApp } from "./memory_app.ts";

const { app } = memoryApp(new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 }));

async function ask(method: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const init = { method, headers, ...(method === "PUT" ? { body: "<script>alert(1)</script>" } : {}) };
  return await app.fetch(new Request("http://vitrine/v1/objects/k", init), {});
}

const rendered = [
  "text/html",
  "TEXT/HTML; charset=utf-8",
  "application/xhtml+xml",
  "image/svg+xml",
  "text/xml",
  "application/xml",
  "application/atom+xml",
  "application/pdf",
  "multipart/x-mixed-replace; boundary=x",
  "multipart/related",
  "message/rfc822",
  "text/x-server-parsed-html",
  "text/plainx",
  "application/x-shockwave-flash",
  "unknown/unknown",
];

test("an object that a browser could render is an attachment, whatever its PUT says of that", async () => {
  for (const type of rendered) {
    for (
      const [given, shown] of [[undefined, "attachment"], ["inline", "attachment"], [
        'INLINE; filename="a.html"',
        'attachment; filename="a.html"',
      ]] as const
    ) {
      const disposition = given === undefined ? {} : { "content-disposition": given };
      expect((await ask("PUT", { "content-type": type, ...disposition })).ok).toBe(true);
      for (const method of ["GET", "HEAD"]) {
        for (const headers of [{}, { range: "bytes=0-3" }]) {
          const answer = await ask(method, headers);
          expect([type, answer.headers.get("content-disposition")]).toEqual([type, shown]);
        }
      }
    }
  }
});

test("an object that a browser shows as a picture or a text, or saves, keeps what its PUT says of that", async () => {
  const inert = [
    "",
    "application/octet-stream",
    "application/json",
    "image/png",
    "text/plain; charset=utf-8",
    "video/mp4",
  ];
  for (const type of inert) {
    await ask("PUT", type === "" ? {} : { "content-type": type });
    const given = (await ask("GET")).headers.get("content-disposition");
    // A runtime may give a body that is a text a type.
    expect([type, given]).toEqual([type, null]);
    await ask("PUT", { ...(type === "" ? {} : { "content-type": type }), "content-disposition": "inline; filename=a" });
    expect((await ask("GET")).headers.get("content-disposition")).toBe("inline; filename=a");
  }
});

test("stored content of every type runs nothing and is no part of others' pages, whatever fields its PUT has", async () => {
  const evil = {
    "content-security-policy": "default-src *",
    "x-content-type-options": "sniff",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
    "set-cookie": "a=b",
    "refresh": "0;url=//evil.example",
    "link": "</evil.css>; rel=stylesheet",
    "service-worker-allowed": "/",
    "clear-site-data": "*",
  };
  const made: Record<string, string> = {};
  for (const type of [...rendered, "application/octet-stream", "text/plain"]) {
    await ask("PUT", { ...evil, "content-type": type });
    const { etag = "" } = Object.fromEntries((await ask("HEAD")).headers);
    for (const headers of [{}, { range: "bytes=0-3" }, { "if-none-match": etag }]) {
      const answer = Object.fromEntries((await ask("GET", headers)).headers);
      expect(answer).toMatchObject({
        "content-security-policy": expect.stringMatching(/^default-src 'none'.*; sandbox$/),
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
      });
      Object.assign(made, answer);
    }
  }
  for (
    const name of [
      "access-control-allow-origin",
      "set-cookie",
      "refresh",
      "link",
      "service-worker-allowed",
      "clear-site-data",
    ]
  ) {
    expect([name, made[name]]).toEqual([name, undefined]);
  }
});

test("no response to a page of another origin tells whether an object exists", async () => {
  await ask("PUT", { "content-type": "text/plain" });
  for (const path of ["/v1/objects/k", "/v1/objects/absent", "/v1/objects", "/status", "/nothing"]) {
    for (const method of ["GET", "HEAD"]) {
      const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
      const answer = await app.fetch(new Request(`http://vitrine${path}`, { method, headers }), {});
      expect([path, answer.headers.get("cross-origin-resource-policy")]).toEqual([path, "same-origin"]);
    }
  }
});
