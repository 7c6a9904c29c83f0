import { expect, test } from "bun:test";
import { Access, type Denial, parseCredentials } from "../../src/access/access.ts";
import { createPassword, createToken, type Grant } from "../../src/access/tokens.ts";
import { FailureTable, MAX_FAILURES, WINDOW_MS } from "../../src/access/failure_table.ts";
import { parsePasswordHash } from "../../src/access/password_hash.ts";

const rights = { scopes: ["read" as const], tenant: "t", any_tenant: false, prefix: "" };
const ci = createToken({ id: "ci", ...rights });
const person = await createPassword({ id: "person", ...rights }, "hunter22");
const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;
const HERE = () => "10.0.0.1";

function access(tokens = [ci.entry, person]) {
  const clock = { ms: 0, monotonicMs: () => clock.ms };
  return { clock, access: new Access(tokens, new FailureTable(FailureTable.allocate(7), clock)) };
}

function outcome(found: Grant | Denial): string {
  return "denied" in found ? found.denied : found.tokenId;
}

test("createToken makes different secrets of 256 bits, and puts no part of them in the entry", () => {
  const { secret, entry } = createToken({ id: "x", ...rights });
  expect(secret).toMatch(/^vit_[\w-]{43}$/);
  expect(secret).not.toBe(ci.secret);
  expect(JSON.stringify(entry)).not.toContain(secret.slice(4));
});

test("Access allows everything when no tokens are configured", async () => {
  const open = new Access(undefined, new FailureTable(FailureTable.allocate(7), { monotonicMs: () => 0 }));
  expect(open.isOpen).toBe(true);
  const found = await open.grantOf("Bearer x", HERE);
  expect("scopes" in found && found.scopes.has("admin") && found.anyTenant).toBe(true);
});

test("Access accepts a token synchronously, as a bearer token and as the password of Basic with any user", () => {
  const { access: tokens } = access();
  for (
    const sent of [`Bearer ${ci.secret}`, basic("", ci.secret), basic("anybody", ci.secret), `Bearer ${ci.secret}`]
  ) {
    const found = tokens.grantOf(sent, HERE);
    expect(found instanceof Promise ? "later" : outcome(found)).toBe("ci");
  }
  for (
    const sent of [`Bearer ${ci.secret}x`, `Bearer ${ci.entry.sha256}`, basic(ci.secret, ""), "Bearer person", "x"]
  ) {
    const found = tokens.grantOf(sent, HERE);
    expect(found instanceof Promise ? "later" : outcome(found)).not.toBe("ci");
  }
});

test("Access checks a password once, off the event loop, and has it cached from then on", async () => {
  const { access: tokens } = access();
  const right = basic("person", "hunter22");
  const first = tokens.grantOf(right, HERE);
  expect(first).toBeInstanceOf(Promise);
  expect(outcome(await first)).toBe("person");
  expect(tokens.grantOf(right, HERE)).not.toBeInstanceOf(Promise);
  expect(outcome(await tokens.grantOf(basic("person", "hunter23"), HERE))).toBe("unknown");
  expect(outcome(await tokens.grantOf(basic("nobody", "hunter22"), HERE))).toBe("unknown");
  expect(outcome(await tokens.grantOf("Bearer hunter22", HERE))).toBe("unknown");
});

test("Access limits an address that fails too often: it checks no more of its passwords, but still accepts a valid token", async () => {
  const { access: tokens, clock } = access();
  const seen = [];
  for (let i = 0; i <= MAX_FAILURES; i++) seen.push(outcome(await tokens.grantOf(`Bearer ${i}`, HERE)));
  expect([seen.at(-2), seen.at(-1)]).toEqual(["unknown", "limited"]);
  const password = tokens.grantOf(basic("person", "hunter22"), HERE);
  expect(password instanceof Promise ? "checked" : outcome(password)).toBe("limited");
  expect(outcome(await tokens.grantOf(`Bearer ${ci.secret}`, HERE))).toBe("ci");
  expect(outcome(await tokens.grantOf("Bearer x", () => "10.0.0.2"))).toBe("unknown");
  expect(outcome(await tokens.grantOf(null, HERE))).toBe("missing");
  clock.ms += WINDOW_MS;
  expect(outcome(await tokens.grantOf(basic("person", "hunter22"), HERE))).toBe("person");
});

test("Access is busy when too many passwords are waiting to be checked", async () => {
  const { access: tokens } = access([{ ...person, scrypt: cheap(person.scrypt) }]);
  const asked = Array.from({ length: 40 }, (_, i) => tokens.grantOf(basic("person", `${i}`), () => `10.0.1.${i}`));
  const seen = (await Promise.all(asked)).map(outcome);
  expect(seen.filter((each) => each === "busy").length).toBe(40 - 2 - 16);
  expect(outcome(await tokens.grantOf(basic("person", "x"), HERE))).toBe("unknown");
});

/** The same hash text, at the lowest cost. */
function cheap(scrypt: string | undefined): string {
  const text = (scrypt ?? "").replace("ln=14,r=8,p=5", "ln=10,r=1,p=1");
  if (parsePasswordHash(text) === undefined) throw new Error(`not a hash: ${text}`);
  return text;
}

test("Access refuses replaced tokens at once, even while a password is being checked", async () => {
  const { access: tokens } = access();
  expect(outcome(await tokens.grantOf(`Bearer ${ci.secret}`, HERE))).toBe("ci");
  const checked = tokens.grantOf(basic("person", "hunter22"), HERE);
  const other = createToken({ id: "other", ...rights });
  tokens.replace([other.entry]);
  expect(outcome(await checked)).toBe("unknown");
  expect(outcome(await tokens.grantOf(`Bearer ${ci.secret}`, HERE))).toBe("unknown");
  expect(outcome(await tokens.grantOf(`Bearer ${other.secret}`, HERE))).toBe("other");
});

test("parseCredentials reads a bearer token, and the user and password of Basic, with the scheme in any case", () => {
  expect(parseCredentials("Bearer vit_a-b.c~1+/==")).toEqual({ secret: "vit_a-b.c~1+/==", user: undefined });
  expect(parseCredentials("bearer  x ")).toEqual({ secret: "x", user: undefined });
  expect(parseCredentials(basic("me", "pass:word"))).toEqual({ secret: "pass:word", user: "me" });
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
    `Basic ${btoa("nocolon")}`,
    "Digest a",
    "a",
  ];
  expect(others.filter((text) => parseCredentials(text) !== undefined)).toEqual([]);
  const longest = "x".repeat(8192 - "Bearer ".length);
  expect(parseCredentials(`Bearer ${longest}`)?.secret).toBe(longest);
  expect(parseCredentials(`Bearer ${longest}x`)).toBeUndefined();
});
