import { expect } from "bun:test";
import type { ContractCase } from "../../contract_client.ts";
import { cases, type Row } from "./row.ts";

const put = (rfc: string, what: string, value: string): Row => ({
  rfc,
  what,
  method: "PUT",
  headers: { "cache-control": value },
  status: 200,
});
const lives = (seconds: number, rfc: string, what: string, value: string): Row => ({
  ...put(rfc, what, value),
  maxAge: seconds,
});
const stays = (rfc: string, what: string, value: string): Row => ({
  ...put(rfc, what, value),
  maxAge: null,
});
const refused = (rfc: string, what: string, value: string): Row => ({ ...put(rfc, what, value), status: 400 });
const ignored = (value: string): Row => ({
  rfc: "9111 5.2.1",
  what: "this server is where its objects come from",
  headers: { "cache-control": value },
  status: 200,
});

/** RFC 9111, 5.2: Cache-Control. On a PUT it is that of the object, on a GET it asks for what is so anyway. */
export const cacheControlTable: readonly ContractCase[] = [
  ...cases([
    lives(60, "9111 5.2", "names are no matter of case", "Max-AGE=60"),
    lives(60, "9111 5.2", "both forms of a value are taken", 'max-age="60"'),
    lives(60, "9110 5.6.4", "a quoted character stands for itself", 'max-age="6\\0"'),
    lives(60, "9110 5.6.1.2", "elements of a list may be empty", ", ,max-age=60,,"),
    lives(60, "9110 5.6.1.2", "spaces and tabs may surround commas", "public \t,\t max-age=60"),
    lives(60, "9111 5.2.3", "unknown directives are ignored", 'x=1, y, max-age=60, z="a b"'),
    lives(60, "9110 5.6.4", "what is quoted is no directive", 'x="max-age=5, no-store", max-age=60'),
    lives(60, "9110 5.6.4", "a quote may be escaped", 'x="\\", max-age=5", max-age=60'),
    lives(60, "9111 4.2.1", "the first of two counts", "max-age=60, max-age=5"),
    lives(60, "9111 1.2.2", "zeros may lead", "max-age=00060"),
    lives(2 ** 31, "9111 1.2.2", "what is too large is as much as can be", `max-age=${"9".repeat(300)}`),
    lives(2 ** 31, "9111 1.2.2", "what is too large is as much as can be", "max-age=2147483649"),
    lives(60, "9111 5.2.2.10", "this is a shared cache", "s-maxage=60"),
    lives(60, "9111 5.2.2.10", "the shorter is good for all", "max-age=90, s-maxage=60"),
    lives(60, "9111 5.2.2.10", "the shorter is good for all", "max-age=60, s-maxage=90"),
    {
      ...put("9111 4.2", "what lives for no time is gone at once", "max-age=0"),
      after: { "cache-status": "vitrine; fwd=miss; detail=expired" },
    },
    stays("9111 5.2", "there is no max-age", "public, must-revalidate, proxy-revalidate, no-transform, immutable"),
    stays("9111 5.2.1.4", "there is no max-age", "no-cache"),
    stays("9111 5.2.1.7", "there is no max-age", "only-if-cached, min-fresh=5, max-stale"),
    stays("9111 5.2", "the name is another", "max-agee=5, xmax-age=5"),
    stays("9110 5.6.1.2", "a list may be empty", " , "),
    refused("9111 1.2.2", "it is no number", "max-age=x"),
    refused("9111 1.2.2", "it is below 0", "max-age=-1"),
    refused("9111 1.2.2", "it is no whole number", "max-age=1.5"),
    refused("9111 1.2.2", "it is empty", "max-age="),
    refused("9111 1.2.2", "it is empty", 'max-age=""'),
    refused("9111 1.2.2", "it is missing", "max-age"),
    refused("9111 1.2.2", "no space stands in it", "max-age=1 2"),
    refused("9111 5.2", "no space stands around =", "max-age = 60"),
    refused("9111 5.2", "it has a sign", "max-age=+60"),
    refused("9111 1.2.2", "the second is read too", "max-age=60, max-age=x"),
    refused("9111 5.2", "directives are separated by commas", "public max-age=60"),
    refused("9111 5.2", "directives are separated by commas", "public; max-age=60"),
    refused("9110 5.6.4", "a quoted string ends", 'max-age="60'),
    stays("9111 5.2", "what is malformed is left out", "=60"),
    refused("9111 5.2.2.5", "it contradicts a PUT", "No-Store"),
    refused("9111 5.2.2.5", "it contradicts a PUT", "max-age=60,no-store"),
    ignored("no-cache"),
    ignored("no-store, max-age=0"),
    ignored("only-if-cached"),
    ignored('max-age=x, ,"='),
  ]),
  {
    name: "RFC 9111 5.2: PUT reads several lines of Cache-Control as one list",
    async run(client) {
      const headers = new Headers({ "cache-control": "public" });
      headers.append("cache-control", "max-age=60");
      await client.object("PUT", "a", { body: "x", headers });
      expect((await client.head("a")).headers.get("cache-control")).toBe("max-age=60, public");
    },
  },
];
