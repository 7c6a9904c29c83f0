import { expect, test } from "bun:test";
import { accessText, isExposed } from "../../src/config/exposure.ts";

test("isExposed is false when only this machine reaches the host", () => {
  const hosts = ["127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost", "a.localhost"];
  expect(hosts.filter((host) => isExposed({ host }))).toEqual([]);
});

test("isExposed is true, and accessText warns where there are no tokens, when others may reach the host", () => {
  for (
    const host of ["0.0.0.0", "::", "10.0.0.7", "fe80::1", "::ffff:10.0.0.7", "::2:1", "vitrine", "127.0.0.1.example"]
  ) {
    expect(isExposed({ host })).toBe(true);
    expect(accessText({ host, hasTokens: false })).toContain(`warning: no tokens, and ${host} `);
    expect(accessText({ host, hasTokens: true })).toBe(" access=tokens");
  }
});

test("accessText says that the server is open when it has no tokens on the loopback", () => {
  expect(accessText({ host: "::1", hasTokens: false })).toContain(" access=open (no tokens");
});
