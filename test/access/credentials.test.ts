import { expect, test } from "bun:test";
import { parseCredentials } from "../../src/access/credentials.ts";

const basic = (text: string) => `Basic ${btoa(text)}`;

test("parseCredentials reads a bearer, and the user and the password of Basic, in any case of the scheme", () => {
  expect(parseCredentials("Bearer vit_a-b.c~1+/==")).toEqual({ secret: "vit_a-b.c~1+/==", user: undefined });
  expect(parseCredentials("bearer  x ")).toEqual({ secret: "x", user: undefined });
  expect(parseCredentials(basic("me:pass:word"))).toEqual({ secret: "pass:word", user: "me" });
  expect(parseCredentials(`basic ${btoa(":t")}`)).toEqual({ secret: "t", user: "" });
  expect(parseCredentials(`BASIC ${btoa("\u00c3\u00a9:\u00c3\u00bc")}`)).toEqual({ secret: "ü", user: "é" });
});

test("parseCredentials is undefined for anything else", () => {
  const others = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Bearer a,b",
    "Basic",
    "Basic !",
    basic("nocolon"),
    "Digest a",
    "a",
  ];
  expect(others.filter((text) => parseCredentials(text) !== undefined)).toEqual([]);
  expect(parseCredentials(`Bearer ${"x".repeat(3000)}`)).toBeUndefined();
});
