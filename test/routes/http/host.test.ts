import { expect, test } from "bun:test";
import { parseHost } from "../../../routes/http/host.ts";

test("parseHost gives name and port when the field is one host", () => {
  const parsed = [
    "vitrine",
    "EXAMPLE.com:8080",
    "127.0.0.1:",
    "[::1]:80",
    "[V1.a:b]",
    "a_b",
    "xn--",
    "a%41",
    "a,b",
    "a:99999",
  ]
    .map(parseHost);
  expect(parsed).toEqual([
    { name: "vitrine", port: "" },
    { name: "example.com", port: "8080" },
    { name: "127.0.0.1", port: "" },
    { name: "[::1]", port: "80" },
    { name: "[v1.a:b]", port: "" },
    { name: "a_b", port: "" },
    { name: "xn--", port: "" },
    { name: "a%41", port: "" },
    { name: "a,b", port: "" },
    { name: "a", port: "99999" },
  ]);
});

test("parseHost gives undefined when the field is no host, or more than one", () => {
  const bad = [
    "",
    "a b",
    "a, b",
    "[",
    "[]",
    "[::1",
    "::1",
    "[::g]",
    "[::1]x",
    "[127.0.0.1]",
    "a/b",
    "u@h",
    "u:p@h",
    "a?b",
    "a#b",
  ];
  const worse = ["a\\b", "a:x", "a:1:2", ":80", "a%4", "a%zz", "<a>", "a|b", "a^b", "ÿ", "a\tb", "http://a", "a\n"];
  expect([...bad, ...worse].filter((field) => parseHost(field) !== undefined)).toEqual([]);
});

test("parseHost takes no longer than its input asks for when that nearly fits", () => {
  expect(parseHost(`${"a%41".repeat(100_000)}!:`)).not.toBe(undefined);
  expect(parseHost(`${"a%41".repeat(100_000)} `)).toBe(undefined);
});
