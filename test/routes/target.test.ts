import { expect, test } from "bun:test";
import fc from "fast-check";
import { pathOf, queryOf, targetOf } from "../../routes/http/target.ts";

test("targetOf gives path and query whatever the host is called", () => {
  for (const host of ["h", "[", "[::1]:80", "", "a b", "u:p@h", "h:99999", "a%00b"]) {
    expect([host, targetOf(`http://${host}/a?b=/c://d`)]).toEqual([host, "/a?b=/c://d"]);
  }
});

test("targetOf gives the bare target when the runtime found no host", () => {
  expect(["/a", "//a/b", "/a?http://b/c", "/"].map(targetOf)).toEqual(["/a", "//a/b", "/a?http://b/c", "/"]);
});

test("targetOf begins with a slash when an absolute target has none", () => {
  expect(["http://h", "HTTPS://h?x", "http://h?/v1/objects/a"].map(targetOf)).toEqual(["/", "/?x", "/?/v1/objects/a"]);
});

test("targetOf gives undefined when a URL has no target of this server", () => {
  const urls = ["a:80", "*", "", "ftp://a/b", "http:/a", "http://h\\x/y", "http://h/a#b", "/a#b", "http://h#/a"];
  expect(urls.filter((url) => targetOf(url) !== undefined)).toEqual([]);
});

test("pathOf leaves a path as it is when it holds dot segments or backslashes", () => {
  const paths = ["/a/../b?c", "/a/%2e%2E/b?", "/x\\..\\b", "//a?b?c"].map(pathOf);
  expect(paths).toEqual(["/a/../b", "/a/%2e%2E/b", "/x\\..\\b", "//a"]);
});

test("targetOf, pathOf and queryOf never throw", () => {
  const pieces = fc.constantFrom(
    "http://",
    "[",
    "]",
    "/",
    "\\",
    ".",
    "..",
    "%2e",
    "%",
    "?",
    "#",
    ":",
    "@",
    "a",
    " ",
    "\u0000",
    "\ud800",
  );
  fc.assert(fc.property(fc.array(pieces), (parts) => {
    const url = parts.join("");
    pathOf(targetOf(url) ?? "");
    pathOf(`/${url}`);
    queryOf(url);
  }));
});
