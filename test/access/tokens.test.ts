import { expect, test } from "bun:test";
import fc from "fast-check";
import { VitrineError } from "../../src/core/errors.ts";
import { formatToken, parseTokens, SCOPES, type TokenEntry } from "../../src/access/tokens.ts";
const HASH = "ab".repeat(32);
const line = (fields: object) => JSON.stringify({ id: "a", sha256: HASH, scopes: ["read"], ...fields });

function failure(text: string): string {
  try {
    parseTokens(text, "the file");
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "none";
}

test("parseTokens reads what formatToken writes", () => {
  const entry = fc.record({
    id: fc.stringMatching(/^[A-Za-z0-9._@-]{1,64}$/),
    sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
    scopes: fc.subarray([...SCOPES], { minLength: 1 }),
    tenant: fc.stringMatching(/^[\x20-\x7e]{0,128}$/),
    any_tenant: fc.boolean(),
    prefix: fc.string({ unit: "grapheme", maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: ({ id }) => id, minLength: 1, maxLength: 4 }), (entries) => {
      fc.pre(new Set(entries.map(({ sha256 }) => sha256)).size === entries.length);
      const lines: readonly TokenEntry[] = entries;
      expect(parseTokens(lines.map(formatToken).join("\n"), "x")).toEqual([...lines]);
    }),
    { numRuns: 50 },
  );
});

test("parseTokens skips comments and blank lines, and accepts CR before LF and a byte order mark", () => {
  const text = `\uFEFF# a comment\r\n\r\n  ${line({})}\r\n\n`;
  expect(parseTokens(text, "x")).toEqual([
    { id: "a", sha256: HASH, scopes: ["read"], tenant: "", any_tenant: false, prefix: "" },
  ]);
});

test("parseTokens names the line and the field, and shows nothing of the line, when one is wrong", () => {
  const secret = "vit_secretsecret";
  const cases: readonly (readonly [string, string])[] = [
    ["", "it contains no tokens"],
    ["# only this", "it contains no tokens"],
    [secret, "line 1: not JSON"],
    [`${line({})}\n${secret}`, "line 2: not JSON"],
    [line({ id: "a b" }), "line 1: id is not"],
    [line({ id: `${secret}:` }), "line 1: id is not"],
    [line({ sha256: secret }), "line 1: sha256 is not"],
    [line({ sha256: HASH.toUpperCase() }), "line 1: sha256 is not"],
    [line({ scrypt: secret, sha256: undefined }), "line 1: scrypt is not"],
    [line({ sha256: undefined }), "line 1: not an object with one"],
    [line({ scopes: [] }), "line 1: scopes is not"],
    [line({ scopes: [secret] }), "line 1: scopes is not"],
    [line({ tenant: "ü" }), "line 1: tenant is not"],
    [line({ tenant: "x".repeat(129) }), "line 1: tenant is not"],
    [line({ any_tenant: secret }), "line 1: any_tenant is not"],
    [line({ prefix: "ü".repeat(513) }), "line 1: prefix is not"],
    [line({ [secret]: 1 }), "line 1: unknown field"],
    [`${line({})}\n${line({ sha256: "cd".repeat(32) })}`, "line 2: its id"],
    [`${line({})}\n${line({ id: "b" })}`, "line 2: its id"],
    ["[]", "line 1: "],
    ["x".repeat(5_000_000), "more than"],
  ];
  for (const [text, expected] of cases) {
    expect(failure(text)).toContain(`read tokens from the file: ${expected}`);
    expect(failure(text)).not.toContain(secret);
  }
});

/** One change of a text: characters that are replaced by others, at a place between 0 (start) and 1 (end). */
const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.oneof(fc.constantFrom(0, 1), fc.nat(40), fc.constant(10_000)),
  added: fc.oneof(
    fc.string({ unit: "binary", maxLength: 3 }),
    fc.constantFrom("", "#", '"', "\\", "}", "{", "[]", ",", "\u0000", "\uFEFF", "admin", "__proto__", "1e999"),
  ),
});

test("parseTokens refuses a changed line without a word of it, or leaves the other lines' tokens as they were", () => {
  const scrypt = "$scrypt$ln=14,r=8,p=5$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
  const lines = [
    line({ tenant: "team", prefix: "ci/" }),
    JSON.stringify({ id: "b", scrypt, scopes: ["read", "write"], any_tenant: true }),
    JSON.stringify({ id: "c", s3: "0123456789abcdef".repeat(2), scopes: ["delete"] }),
  ];
  const entries = parseTokens(lines.join("\n"), "x");
  const outcomes = { refused: 0, read: 0 };
  fc.assert(
    fc.property(fc.nat(lines.length - 1), fc.array(edit, { minLength: 1, maxLength: 3 }), (changed, edits) => {
      const text = lines.map((each, index) =>
        index !== changed ? each : edits.reduce((whole, { at, removed, added }) => {
          const start = Math.floor(at * whole.length);
          return whole.slice(0, start) + added.replaceAll("\n", "") + whole.slice(start + removed);
        }, each)
      ).join("\n");
      let read: readonly TokenEntry[];
      try {
        read = parseTokens(text, "the file");
      } catch (error) {
        outcomes.refused++;
        expect(error).toBeInstanceOf(VitrineError);
        const message = String(error);
        expect(message).toMatch(/^VitrineError: read tokens from the file: line [123]: [\x20-\x7e]{4,120}$/);
        for (const hidden of [HASH, scrypt, "c2FsdHNh", "0123456789abcdef"]) expect(message).not.toContain(hidden);
        return;
      }
      outcomes.read++;
      // Changed into a comment or a blank line, it is no token any more.
      const rest = read.length === lines.length ? read.filter((_, index) => index !== changed) : read;
      expect(rest).toEqual(entries.filter((_, index) => index !== changed));
      expect(parseTokens(read.map(formatToken).join("\n"), "x")).toEqual([...read]);
    }),
    { numRuns: 3000 },
  );
  expect(outcomes.refused > 100 && outcomes.read > 20).toBe(true);
});
