import { expect } from "bun:test";
import { type ContractCase, pattern, refusal, sha256 } from "../contract_client.ts";

const OTHER = "A".repeat(43) + "=";

function accepts(name: string, header: string, value: (digest: string) => string): ContractCase {
  return {
    name: `PUT takes the body when ${name}`,
    async run(client) {
      const body = pattern(1000);
      expect((await client.put("a", body, { [header]: value(await sha256(body)) })).status).toBe(201);
    },
  };
}

function refuses(name: string, value: string, type = "bad-request"): ContractCase {
  return {
    name: `PUT refuses with 400 and keeps what was there when ${name}`,
    async run(client) {
      const etag = await client.create("a", "old");
      expect(await refusal(await client.put("a", "new", { "content-digest": value })))
        .toEqual([400, `/problems/${type}`]);
      expect((await client.head("a")).headers.get("etag")).toBe(etag);
    },
  };
}

/** Content-Digest and Repr-Digest (RFC 9530). */
export const digestCases: readonly ContractCase[] = [
  accepts("Content-Digest is right", "content-digest", (digest) => `sha-256=:${digest}:`),
  accepts("Repr-Digest is right", "repr-digest", (digest) => `sha-256=:${digest}:`),
  accepts("its padding is left out", "content-digest", (digest) => `sha-256=:${digest.replace("=", "")}:`),
  accepts(
    "other algorithms stand beside sha-256",
    "content-digest",
    (digest) => `sha-512=:AAAA:, sha-256=:${digest}:;q=1, md5=:AAAA:`,
  ),
  accepts("only unknown algorithms are given", "content-digest", () => "unixsum=:AAAA:"),
  refuses("Content-Digest is of other bytes", `sha-256=:${OTHER}:`, "digest-mismatch"),
  refuses("Content-Digest is no dictionary", "sha-256"),
  refuses("Content-Digest is not in colons", `sha-256=${OTHER}`),
  refuses("Content-Digest has a comma too many", `sha-256=:${OTHER}:,`),
  refuses("Content-Digest is too short", "sha-256=:AAAA:"),
  refuses("Content-Digest is no base64", "sha-256=:????:"),
  {
    name: "PUT refuses with 400 when Content-Digest and Repr-Digest disagree",
    async run(client) {
      const digest = await sha256(pattern(10));
      const headers = { "content-digest": `sha-256=:${digest}:`, "repr-digest": `sha-256=:${OTHER}:` };
      expect(await refusal(await client.put("a", pattern(10), headers))).toEqual([400, "/problems/digest-mismatch"]);
    },
  },
  {
    name: "GET sends Repr-Digest when the PUT had a digest, whole or in part, and none otherwise",
    async run(client) {
      const digest = `sha-256=:${await sha256(pattern(100))}:`;
      await client.create("a", pattern(100), { "content-digest": digest });
      await client.create("b", pattern(100));
      const sent = [await client.get("a"), await client.get("a", { range: "bytes=0-1" }), await client.get("b")];
      expect(sent.map(({ headers }) => headers.get("repr-digest"))).toEqual([digest, digest, null]);
    },
  },
];
