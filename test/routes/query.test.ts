import { expect, test } from "bun:test";
import * as v from "valibot";
import { parseQuery } from "../../routes/http/query.ts";

const schema = v.strictObject({ a: v.optional(v.string()), list: v.optional(v.string()) });
const parse = (query: string): unknown =>
  parseQuery(schema, new Request(`http://vitrine/path${query}`), { lists: ["list"] });

test("parseQuery reads parameters once, and lists as often as they come", () => {
  expect(parse("?a=1&list=x&list=y%2Cz")).toEqual({ a: "1", list: "x,y,z" });
  expect(parse("")).toEqual({});
});

test("parseQuery refuses a repeated, an unknown and an inherited name, and more than 256 parameters", () => {
  expect(() => parse("?a=1&a=2")).toThrow("a comes twice");
  expect(() => parse("?b=1")).toThrow("parse query: b");
  for (const name of ["__proto__", "constructor", "toString"]) {
    expect(() => parse(`?${name}=1`)).toThrow(`${name}: no such parameter`);
  }
  expect(parse(`?${"list=x&".repeat(256).slice(0, -1)}`)).toEqual({ list: Array<string>(256).fill("x").join() });
  expect(() => parse(`?${"list=x&".repeat(257)}`)).toThrow("more than 256 parameters");
});
