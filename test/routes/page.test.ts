import { expect, test } from "bun:test";
import { readPageFiles } from "../../routes/page.ts";

test("readPageFiles marks the page with its port, and gives the other port another ETag, when it reads", () => {
  const [service, admin] = (["service", "admin"] as const).map((port) => readPageFiles(port).get("index.html"));
  const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
  expect(text(service?.bytes)).toContain('<html lang="en" data-port="service">');
  expect(text(admin?.bytes)).toContain('<html lang="en" data-port="admin">');
  expect(service?.etag).not.toBe(admin?.etag);
});

test("readPageFiles has nothing but what a browser needs when it reads", () => {
  const names = Array.from(readPageFiles("service").keys());
  expect(names.filter((name) => !/\.(?:html|css|js|svg)$/.test(name))).toEqual([]);
  expect(names).toContain("uplot.css");
});
