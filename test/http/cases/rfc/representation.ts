import { expect } from "bun:test";
import { type ContractCase, pattern, refusal, sha256 } from "../../contract_client.ts";
import { cases, type Row } from "./row.ts";

const typed = (what: string, value: string): Row => ({
  rfc: "9110 8.3.1",
  what,
  method: "PUT",
  headers: { "content-type": value },
  status: 200,
  after: { "content-type": value, "x-content-type-options": "nosniff" },
});
const untyped = (what: string, value: string): Row => ({
  rfc: "9110 8.3.1",
  what,
  method: "PUT",
  headers: { "content-type": value },
  status: 400,
});
const digested = (status: number, what: string, value: string, name = "content-digest"): Row => ({
  rfc: "9530 2",
  what,
  method: "PUT",
  headers: { [name]: value },
  status,
});
const any = (headers: Record<string, string>, what: string, rfc: string): Row => ({
  rfc,
  what,
  headers,
  status: 200,
  body: "0123456789",
});
const OTHER = "A".repeat(43) + "=";

/** RFC 9110, 8 and 12, RFC 9530, RFC 9651: what is said of the bytes, and what is asked of them. */
export const representationTable: readonly ContractCase[] = [
  ...cases([
    typed("it is a type", "text/plain"),
    typed("its case is kept", "Text/HTML;Charset=UTF-8"),
    typed("tokens may hold such characters", "application/vnd.a+b.c-d_e!#$&^"),
    typed("a value may be quoted", 'text/plain; a="b; c, \\"d\\""'),
    typed("a parameter may be missing between semicolons", "text/plain; ;a=b;"),
    typed("a star is a character of tokens", "*/*"),
    typed("nobody has registered it", "unknown/unknown"),
    { ...typed("an empty field says nothing", ""), after: { "content-type": "application/octet-stream" } },
    untyped("there is no subtype", "nonsense"),
    untyped("there is no subtype", "text/"),
    untyped("there is no type", "/plain"),
    untyped("there is a slash too many", "text/plain/x"),
    untyped("no space stands around the slash", "text / plain"),
    untyped("there are two", "text/plain, text/html"),
    untyped("a parameter has a value", "text/plain; charset"),
    untyped("a parameter has a value", "text/plain; charset="),
    untyped("a parameter has a name", "text/plain; =a"),
    untyped("no space stands around =", "text/plain; charset = utf-8"),
    untyped("a quoted string ends", 'text/plain; a="b'),
    untyped("what follows a quoted string is a semicolon", 'text/plain; a="b"c'),
    untyped("it is a word too many", "text/plain charset=utf-8"),
    untyped("the runtimes differ in such bytes", 'text/plain; a="ä"'),
    digested(200, "a dictionary may be empty", ""),
    digested(200, "unknown algorithms are ignored, whatever their value", 'unixsum=30637, x=(1 2);y, z, w="a", v=?1'),
    digested(
      200,
      "of two members the last counts",
      `sha-256=:${OTHER}:, sha-256=:Gtt8EhlXM+jfiXqFoq3LKzjP/EF9cANcjE4ilz9yR4Y=:`,
    ),
    digested(400, "a key is in lower case", `SHA-256=:${OTHER}:`),
    digested(400, "it is no string of bytes", "sha-256=1"),
    digested(400, "it is no string of bytes", "sha-256"),
    digested(400, "it is no string of bytes", `sha-256="${OTHER}"`),
    digested(400, "a list of bytes is none", `sha-256=(:${OTHER}:)`),
    digested(400, "no space stands around =", `sha-256 = :${OTHER}:`),
    digested(400, "an element is never empty", "unixsum=1,,x=2"),
    digested(400, "a comma does not end it", "unixsum=1,"),
    digested(400, "bytes end with a colon", `sha-256=:${OTHER}`),
    digested(400, "it is of other bytes", `sha-256=:${OTHER}:`, "repr-digest"),
    digested(200, "nobody has to send what is wanted", "sha-256=nonsense", "want-repr-digest"),
    any({ "want-content-digest": "sha-256=10" }, "nobody has to send what is wanted", "9530 4"),
    any({ accept: "image/png" }, "one representation is better than none", "9110 12.5.1"),
    any({ "accept-encoding": "gzip, br;q=0.5, identity;q=0" }, "one representation is better than none", "9110 12.5.3"),
    any({ "accept-charset": "nonsense;;" }, "it is deprecated", "9110 12.5.2"),
    any({ "accept-language": "*;q=0" }, "one representation is better than none", "9110 12.5.4"),
  ]),
  {
    name: "RFC 9530 2: a digest of the bytes is taken in each form, and GET sends the canonical one",
    async run(client) {
      const digest = await sha256(pattern(10));
      for (const form of [`sha-256=:${digest}:`, `a=1;b;c=2 ,\t sha-256=:${digest.replace("=", "")}:;q="x"`]) {
        expect((await client.put("a", pattern(10), { "content-digest": form })).status).toBeLessThan(300);
        expect((await client.head("a")).headers.get("repr-digest")).toBe(`sha-256=:${digest}:`);
      }
    },
  },
  {
    name: "RFC 9110 9.3.2: HEAD has the fields of GET",
    async run(client) {
      await client.create("a", "x", { "content-type": "text/html", "cache-control": "max-age=60" });
      const names = [
        "accept-ranges",
        "age",
        "cache-control",
        "cache-status",
        "content-length",
        "content-security-policy",
        "content-type",
        "cross-origin-resource-policy",
        "etag",
        "repr-digest",
        "vary",
        "x-content-type-options",
      ];
      for (const key of ["a", "none", "%zz"]) {
        const path = `/v1/objects/${key}`;
        const [get, head] = [await client.fetch(path), await client.fetch(path, { method: "HEAD" })];
        const fields = ({ status, headers }: Response) => [status, ...names.map((name) => [name, headers.get(name)])];
        // In process nobody but the handler sets the length.
        const known = ([name]: [string, string | null] | readonly unknown[]) =>
          client.fixture.overSockets || name !== "content-length";
        expect(fields(head).filter((field) => !Array.isArray(field) || known(field)))
          .toEqual(fields(get).filter((field) => !Array.isArray(field) || known(field)));
        expect(await head.text()).toBe("");
      }
    },
  },
  {
    name: "RFC 9110 6.6.1: answers have a Date",
    async run(client) {
      if (!client.fixture.overSockets) return;
      for (
        const response of [
          await client.put("a", "x"),
          await client.get("a"),
          await client.get("none"),
          await client.delete("a"),
        ]
      ) {
        expect(Date.parse(response.headers.get("date") ?? "")).toBeGreaterThan(0);
      }
    },
  },
  ...[
    "/v1/objects?constructor=1",
    "/v1/objects?__proto__=1",
    `/v1/objects?${"a&".repeat(257)}`,
    `/v1/events?${"type=*&".repeat(257)}`,
    `/v1/events?type=${"*,".repeat(257)}`,
    `/v1/events?type=${"*".repeat(129)}`,
    `/v1/events?type=${"*".repeat(25)}!`,
  ]
    .map((path): ContractCase => ({
      name: `GET refuses with 400 when the query is ${path.slice(0, 40)} (${path.length} characters)`,
      async run(client) {
        expect(await refusal(await client.fetch(path))).toEqual([400, "/problems/bad-request"]);
      },
    })),
];
