import { expect, test } from "bun:test";
import { formatPasswordHash, hashPassword, isPassword, parsePasswordHash } from "../../src/access/password_hash.ts";

test("isPassword is true only for the password that was hashed, even after formatting and parsing", async () => {
  const hash = await hashPassword("correct horse");
  const kept = parsePasswordHash(formatPasswordHash(hash));
  if (kept === undefined) throw new Error("not read");
  expect([await isPassword("correct horse", kept), await isPassword("correct hors", kept)]).toEqual([true, false]);
  expect(formatPasswordHash(await hashPassword("correct horse"))).not.toBe(formatPasswordHash(hash));
});

test("isPassword agrees with Python's hashlib.scrypt", async () => {
  const kept = parsePasswordHash(
    "$scrypt$ln=10,r=8,p=2$c2l4dGVlbiBieXRlIHNsdA$i3zPayhXttG3b3k+glPFETFQEvyQK070Cha9HH7avgk",
  );
  expect(kept === undefined ? undefined : await isPassword("pässword", kept)).toBe(true);
});

test("parsePasswordHash is undefined when the text is malformed or too expensive to check", () => {
  const rest = `$${"A".repeat(22)}$${"A".repeat(43)}`;
  const texts = [
    "",
    "$scrypt$",
    `$scrypt$ln=20,r=8,p=1${rest}`,
    `$scrypt$ln=9,r=8,p=1${rest}`,
    `$scrypt$ln=14,r=0,p=1${rest}`,
  ];
  texts.push(`$scrypt$ln=14,r=8,p=17${rest}`, `$scrypt$ln=16,r=99,p=1${rest}`, `$argon2id$ln=14,r=8,p=1${rest}`);
  expect(texts.filter((text) => parsePasswordHash(text) !== undefined)).toEqual([]);
  expect(parsePasswordHash(`$scrypt$ln=14,r=8,p=5${rest}`)).toMatchObject({
    logCost: 14,
    blockSize: 8,
    parallelism: 5,
  });
});
