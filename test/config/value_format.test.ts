import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  duration,
  hostNames,
  integer,
  networks,
  protectedUrlOrNone,
  ratio,
  size,
  someOf,
  urls,
  wordOrNone,
} from "../../src/config/value_format.ts";

test("size reads bytes when the text has a binary unit or none", () => {
  const { parse } = size("1B");
  expect(["1", "1B", "1.5KiB", "256MiB", "8GiB", "5TiB"].map(parse)).toEqual([
    1,
    1,
    1536,
    268_435_456,
    8_589_934_592,
    5_497_558_138_880,
  ]);
});

test("size refuses when the text is not a size, is below the minimum or exceeds the exact integers", () => {
  const { parse } = size("1MiB");
  const texts = ["", "MiB", "1MB", "1kib", "-1MiB", "1 MiB", "1e9", "0x10", "1023KiB", "9999999TiB", "1constructor"];
  expect(texts.filter((text) => parse(text) !== undefined)).toEqual([]);
});

test("size reads any number of bytes without a unit", () => {
  const { parse } = size("0B");
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parse(String(bytes)) === bytes));
});

test("duration reads milliseconds when the text has a unit", () => {
  const { parse } = duration("1ms", "24h");
  expect(["250ms", "1.5s", "5m", "24h"].map(parse)).toEqual([250, 1500, 300_000, 86_400_000]);
});

test("duration refuses when there is no unit or the value is outside the limits", () => {
  const { parse } = duration("1s", "255s");
  expect(["60", "999ms", "256s", "1d", ""].filter((text) => parse(text) !== undefined)).toEqual([]);
});

test("integer refuses when the text is not a whole number within the limits", () => {
  const { parse } = integer(1, 10);
  expect(["1", "10", "0", "11", "1.0", "+1", "", "1e0"].map(parse)).toEqual([
    1,
    10,
    ...Array.from({ length: 6 }, () => undefined),
  ]);
});

test("ratio refuses when the text is not above 0 and up to 1", () => {
  const { parse } = ratio();
  expect(["0.8", "1", "0", "1.1", "80%", "NaN"].map(parse)).toEqual([
    0.8,
    1,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test("urls refuses when one item of the list is neither a URL nor a path", () => {
  const { parse } = urls();
  expect(["", "var/lib", "file:///a,", "/a,", "none,file:///a"].filter((text) => parse(text) !== undefined)).toEqual(
    [],
  );
});

test("urls keeps the hosts of one URL together", () => {
  const { parse } = urls();
  for (
    const list of [
      ["redis+cluster://u:p@a:1,b:2,[::1]:3/?prefix=x", "file:///a"],
      ["rediss+sentinel://a,b.example,c/0", "redis://h:1", "file:b"],
      ["file:a", "redis+cluster://a,b?name=c", "memory:"],
      ["redis://a:1", "memory://"],
    ]
  ) {
    expect(parse(list.join(","))).toEqual(list);
  }
  expect(["redis://a,b", "redis+cluster://a/0,b"].filter((text) => parse(text) !== undefined)).toEqual([]);
});

test("hostNames reads names, wildcards and none, and refuses anything else", () => {
  const { parse } = hostNames();
  expect(parse("a.example, *.b.example,*")).toEqual(["a.example", "*.b.example", "*"]);
  expect(parse("none")).toEqual([]);
  const texts = ["", "a b", "a:80", "a,", "*x", "http://a"];
  expect(texts.filter((text) => parse(text) !== undefined)).toEqual([]);
});

test("networks reads addresses and networks, and refuses anything else", () => {
  const { parse } = networks();
  expect(parse("10.0.0.0/8, 192.0.2.1,fd00::/8")).toEqual(["10.0.0.0/8", "192.0.2.1", "fd00::/8"]);
  expect([parse("none"), parse("0.0.0.0/0"), parse("::/128")]).toEqual([[], ["0.0.0.0/0"], ["::/128"]]);
  const bad = ["", "proxy", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0,"];
  expect(bad.filter((text) => parse(text) !== undefined)).toEqual([]);
});

test("someOf reads words of its list, and refuses any other", () => {
  const { parse } = someOf(["read", "write"]);
  expect([parse("none"), parse("write, read"), parse("root"), parse("read,")]).toEqual([
    [],
    ["write", "read"],
    undefined,
    undefined,
  ]);
});

test("protectedUrlOrNone refuses a URL whose content others on the network could change", () => {
  const { parse } = protectedUrlOrNone();
  for (const url of ["https://a.example/keys", "http://localhost:1/k", "http://127.0.0.9/k", "http://[::1]:8/k"]) {
    expect(parse(url)).toEqual({ url });
  }
  expect(parse("none")).toEqual({ url: undefined });
  const bad = ["http://a.example/keys", "http://localhost.evil.example/k", "ftp://localhost/k", "file:///k", "k", ""];
  expect(bad.filter((text) => parse(text) !== undefined)).toEqual([]);
});

test("wordOrNone refuses spaces", () => {
  const { parse } = wordOrNone("a word");
  expect([parse("urn:x"), parse("none"), parse("a b"), parse("")]).toEqual([
    { text: "urn:x" },
    { text: undefined },
    undefined,
    undefined,
  ]);
});
