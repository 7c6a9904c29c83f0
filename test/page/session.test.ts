import { expect, test } from "bun:test";
import { describe as inWords, parseAccess, seesNumbers, Session } from "../../page/session.js";

const ACCESS = { open: false, exposed: false, token: "ci", scopes: ["read"], tenant: "", prefix: "" };

/** A session whose server knows one token. */
function session(known: string) {
  const kept = new Map<string, string>();
  const asked: RequestInit[] = [];
  const state = { down: false, changes: 0 };
  const made = new Session({
    async fetch(_url, init) {
      asked.push(init);
      if (state.down) throw new Error("down");
      const isKnown = new Headers(init.headers).get("authorization") === `Bearer ${known}`;
      return isKnown ? Response.json(ACCESS) : new Response(null, { status: 401 });
    },
    storage: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
  });
  made.onChange(() => state.changes++);
  return { made, kept, asked, state };
}

test("Session keeps a token, sends it, and knows what it allows, until it signs out", async () => {
  const { made, kept, asked, state } = session("t");
  await made.ask();
  expect(made.known).toBe("refused");
  await made.signIn("wrong");
  expect(made.known).toBe("refused");
  await made.signIn("t");
  expect(made.known).toEqual(ACCESS);
  await made.fetch("metrics");
  expect(asked.map(({ credentials }) => credentials)).toEqual(Array(4).fill("omit"));
  await made.signOut();
  expect([made.known, kept.size, state.changes]).toEqual(["refused", 0, 4]);
});

test("Session does not know when the server does not answer", async () => {
  const { made, state } = session("t");
  state.down = true;
  await made.signIn("t");
  expect(made.known).toBe("unknown");
});

test("describe says what a token allows, with whose objects and keys", () => {
  expect(inWords(parseAccess(ACCESS))).toBe(
    "ci may read (the default tenant). The numbers need a token of scope metrics or admin.",
  );
  const boss = parseAccess({ ...ACCESS, scopes: ["read", "admin"], tenant: undefined, prefix: "a/" });
  expect([inWords(boss), seesNumbers(boss)]).toEqual([
    "ci may read, admin (any tenant, keys that begin with a/).",
    true,
  ]);
  for (const bad of [null, 1, {}]) expect(() => parseAccess(bad)).toThrow("parse access");
});
