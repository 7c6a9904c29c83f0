import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { createHmac, createPublicKey } from "node:crypto";
import type { JWTPayload } from "jose";
import { Access } from "../../src/access/access.ts";
import { FailureTable, MAX_FAILURES } from "../../src/access/failure_table.ts";
import { COOLDOWN_MS, type JwtSettings, JwtVerifier, RemoteKeys } from "../../src/access/jwt.ts";
import type { Grant } from "../../src/access/tokens.ts";
import { AUDIENCE, ISSUER, issuerKey, keySet, sign } from "./jwt_issuer.ts";

const START_MS = 1_800_000_000_000;
const key = await issuerKey("one");
const settings = { issuer: ISSUER, audience: AUDIENCE, tenantClaim: "tenant", scopeClaim: "scope", defaultScopes: [] };

/** Access with JWTs, its issuer's key set, and a clock. */
function started(options: Partial<JwtSettings> = {}) {
  const clock = { ms: START_MS, monotonicMs: () => clock.ms, nowMs: () => clock.ms };
  const issuer = { text: keySet(key), isDown: false, reads: 0 };
  const loads: string[] = [];
  const keys = new RemoteKeys({
    read: () => {
      issuer.reads++;
      return issuer.isDown ? Promise.reject(new Error("down")) : Promise.resolve(issuer.text);
    },
    nowMs: () => clock.ms,
    onLoad({ outcome }) {
      loads.push(outcome);
      if (outcome === "loaded") access.forget();
    },
  });
  let checks = 0;
  const gate = { opened: Promise.resolve() };
  const jwt = new JwtVerifier({
    settings: { ...settings, ...options },
    async keyOf(header, token) {
      checks++;
      const found = await keys.keyOf(header, token);
      await gate.opened;
      return found;
    },
    nowMs: () => clock.ms,
  });
  const access: Access = new Access(undefined, new FailureTable(FailureTable.allocate(1), clock), { jwt });
  /** The grant, or the reason why there is none. */
  const ask = async (token: string, address = "10.0.0.1"): Promise<Grant | string> => {
    const found = await access.grantOf(`Bearer ${token}`, () => address);
    return "denied" in found ? found.denied : found;
  };
  const signed = (claims: JWTPayload = {}, by = key, without: readonly string[] = []) =>
    sign(by, claims, { nowMs: clock.ms, without });
  return { access, ask, signed, clock, issuer, keys, loads, gate, checks: () => checks };
}

const isGranted = (answer: Grant | string) => typeof answer !== "string";

test("a token of the issuer gives the tenant and the scopes in its claims", async () => {
  const { access, ask, signed } = started();
  expect(access.isOpen).toBe(false);
  expect(await ask(await signed())).toEqual({
    ...{ tokenId: "jwt:repo:x", tenant: "t", anyTenant: false, prefix: "", scopes: new Set(["read"]) },
    expiresMs: START_MS + 305_000,
  });
  const scopesOf = async (scope: unknown) => {
    const grant = await ask(await signed({ scope }));
    return typeof grant === "string" ? grant : [...grant.scopes];
  };
  expect(await scopesOf(["write", "read", "root"])).toEqual(["read", "write"]);
  expect(await scopesOf("openid")).toEqual([]);
  expect(await scopesOf({ read: true })).toEqual([]);
  const basic = await access.grantOf(`Basic ${btoa(`any:${await signed()}`)}`, () => "");
  expect("scopes" in basic).toBe(true);
});

test("settings name the claims, give scopes to tokens without them, and one tenant to all", async () => {
  const { ask, signed } = started({ defaultScopes: ["read"], scopeClaim: "roles", tenantClaim: "repository" });
  expect(await ask(await signed({ repository: "org/repo" }))).toMatchObject({
    tenant: "org/repo",
    scopes: new Set(["read"]),
  });
  expect(await ask(await signed())).toBe("unknown");
});

test("a tenant that is none is no tenant: the token is refused", async () => {
  const { ask, signed } = started();
  for (const tenant of [7, null, ["t"], "ü", "x".repeat(129)]) {
    expect([tenant, await ask(await signed({ tenant }))]).toEqual([tenant, "unknown"]);
  }
  expect(await ask(await signed({ tenant: "x".repeat(128) }))).toMatchObject({ tenant: "x".repeat(128) });
});

test("a token that is expired, early, of another issuer or for another audience is refused", async () => {
  const { ask, signed } = started();
  const seconds = START_MS / 1000;
  for (
    const [claims, granted] of [
      [{ exp: seconds - 4 }, true],
      [{ exp: seconds - 5 }, false],
      [{ nbf: seconds + 5 }, true],
      [{ nbf: seconds + 6 }, false],
      [{ iss: "https://issuer.example/" }, false],
      [{ aud: "other" }, false],
      [{ aud: ["other", AUDIENCE] }, true],
    ] satisfies readonly (readonly [JWTPayload, boolean])[]
  ) expect([claims, isGranted(await ask(await signed(claims)))]).toEqual([claims, granted]);
  for (const claim of ["exp", "iss", "aud", "tenant"]) {
    expect([claim, await ask(await signed({}, key, [claim]))]).toEqual([claim, "unknown"]);
  }
});

test("a token with another algorithm than a public key's is refused: none, a shared secret, the wrong kind", async () => {
  const { ask, signed, issuer, keys } = started();
  const good = await signed();
  const [, payload = "", signature = ""] = good.split(".");
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const pem = createPublicKey({ key: { ...key.jwk }, format: "jwk" }).export({ type: "spki", format: "pem" });
  const forged = ["none", "HS256", "HS512", "RS256", "ES384", "EdDSA", "nOnE"].flatMap((alg) => {
    const head = `${encoded({ alg, kid: "one" })}.${payload}`;
    // CVE-2016-5431: the public key as the secret of an HMAC.
    const hmac = (secret: string) => createHmac("sha256", secret).update(head).digest("base64url");
    return ["", signature, hmac(pem), hmac(JSON.stringify(key.jwk))].map((end) => `${head}.${end}`);
  });
  const own = await issuerKey("own");
  const head = `${encoded({ alg: "ES256", kid: "own", jwk: own.jwk, jku: "https://evil.example/keys" })}.${payload}`;
  const tampered = `${good.slice(0, -4)}AAAA`;
  for (const token of [...forged, `${head}.${signature}`, tampered, `${payload}.${payload}.`]) {
    expect(await ask(token, crypto.randomUUID())).toBe("unknown");
  }
  issuer.text = JSON.stringify({ keys: [{ kty: "oct", k: Buffer.from("secret").toString("base64url"), kid: "one" }] });
  await keys.load();
  expect(await ask(good)).toBe("unknown");
});

test("every algorithm of public keys that the runtimes know is accepted", async () => {
  const { ask, signed, issuer, keys } = started();
  for (const alg of ["RS256", "PS256", "ES256", "ES384", "EdDSA"]) {
    const each = await issuerKey(alg, alg);
    issuer.text = keySet(each);
    await keys.load();
    expect([alg, isGranted(await ask(await signed({}, each)))]).toEqual([alg, true]);
  }
});

test("keys rotate: a new one counts at its first token, an old one no more once the set without it is loaded", async () => {
  const { ask, signed, issuer, clock, keys } = started();
  const next = await issuerKey("two");
  const [old, young] = [
    await signed({ exp: START_MS / 1000 + 3600 }),
    await signed({ exp: START_MS / 1000 + 3600 }, next),
  ];
  expect(isGranted(await ask(old))).toBe(true);
  issuer.text = keySet(key, next);
  clock.ms += COOLDOWN_MS;
  expect([isGranted(await ask(young)), isGranted(await ask(old))]).toEqual([true, true]);
  issuer.text = keySet(next);
  await keys.load();
  expect([isGranted(await ask(young)), await ask(old)]).toEqual([true, "unknown"]);
});

test("tokens of unknown keys cause one load in the cooldown, however many come", async () => {
  const { ask, signed, issuer, clock } = started();
  await ask(await signed());
  expect(issuer.reads).toBe(1);
  const other = await issuerKey("other");
  const unknown = await Promise.all(Array.from({ length: 10 }, (_, i) => signed({ jti: `${i}` }, other)));
  await Promise.all(unknown.map((token) => ask(token)));
  expect(issuer.reads).toBe(1);
  clock.ms += COOLDOWN_MS - 1;
  await ask(unknown[0] ?? "");
  expect(issuer.reads).toBe(1);
  clock.ms += 1;
  await Promise.all(unknown.map((token) => ask(token)));
  expect(issuer.reads).toBe(2);
});

test("an issuer that is down at the start is asked again after the cooldown, and nobody is called unknown meanwhile", async () => {
  const { ask, signed, issuer, clock, loads } = started();
  issuer.isDown = true;
  const token = await signed();
  for (let i = 0; i < MAX_FAILURES + 2; i++) expect(await ask(token)).toBe("no_keys");
  expect([issuer.reads, loads]).toEqual([1, ["failed"]]);
  issuer.isDown = false;
  clock.ms += COOLDOWN_MS;
  expect([isGranted(await ask(token)), loads]).toEqual([true, ["failed", "loaded"]]);
});

test("a token is accepted at whatever moment the first keys arrive while it is being checked", async () => {
  for (let steps = 0; steps < 60; steps++) {
    const keys = new RemoteKeys({
      async read() {
        for (let i = 0; i < steps; i++) await undefined;
        return keySet(key);
      },
      nowMs: () => START_MS,
      onLoad() {},
    });
    const jwt = new JwtVerifier({ settings, keyOf: keys.keyOf, nowMs: () => START_MS });
    const token = await sign(key, {}, { nowMs: START_MS });
    void keys.load();
    expect([steps, (await jwt.verify(token))?.tokenId]).toEqual([steps, "jwt:repo:x"]);
  }
});

test("an issuer that goes down, or answers nonsense, leaves the keys as they are", async () => {
  const { ask, signed, issuer, keys, loads } = started();
  await keys.load();
  for (const text of ["", "<html>", "[]", "{}", '{"keys":[]}', '{"keys":"one"}']) {
    issuer.text = text;
    await keys.load();
    expect([text, isGranted(await ask(await signed({ jti: text })))]).toEqual([text, true]);
  }
  issuer.isDown = true;
  await keys.load();
  expect(isGranted(await ask(await signed({ jti: "down" })))).toBe(true);
  expect(await ask(await signed({}, await issuerKey("new")))).toBe("no_keys");
  expect([loads[0], new Set(loads.slice(1))]).toEqual(["loaded", new Set(["failed"])]);
  issuer.isDown = false;
  issuer.text = keySet(key);
  await keys.load();
  expect(loads.at(-1)).toBe("loaded");
});

test("a token is checked once and cached until it expires", async () => {
  const { access, ask, signed, clock, keys, checks } = started();
  await keys.load();
  const token = await signed();
  for (let i = 0; i < 5; i++) expect(isGranted(await ask(token))).toBe(true);
  expect(checks()).toBe(1);
  clock.ms = START_MS + 304_999;
  expect(access.cached(`Bearer ${token}`)).toMatchObject({ tenant: "t" });
  clock.ms = START_MS + 305_000;
  expect([access.cached(`Bearer ${token}`), await ask(token)]).toEqual([undefined, "unknown"]);
});

test("wrong tokens are limited by address as others are, and a right one is still accepted", async () => {
  const { ask, signed } = started();
  for (let i = 0; i < MAX_FAILURES; i++) expect(await ask(await signed({ aud: "x", jti: `${i}` }))).toBe("unknown");
  expect(await ask(await signed({ aud: "x" }))).toBe("limited");
  expect(isGranted(await ask(await signed()))).toBe(true);
});

test("a token that is being checked while its key is revoked is not cached", async () => {
  const { access, ask, signed, issuer, keys, gate } = started();
  await keys.load();
  const token = await signed();
  const opening = Promise.withResolvers<void>();
  gate.opened = opening.promise;
  const asked = ask(token);
  issuer.text = keySet(await issuerKey("two"));
  await keys.load();
  opening.resolve();
  expect([await asked, access.cached(`Bearer ${token}`)]).toEqual(["unknown", undefined]);
});
