import { expect, test } from "bun:test";
import { VitrineError } from "../../../src/core/errors.ts";
import type { ForeignChange } from "../../../src/l2/adapter.ts";
import { ChangeLog } from "../../../src/l2/redis/change_log.ts";

const BASE = "{vitrine:0}:";
const ME = "me";

interface Logged {
  readonly n: number;
  readonly server: string;
  readonly what: string;
}

/** A log in an engine whose clock is 1.5 s behind the first entry's second. */
function bench() {
  const engine = { count: 0, entries: [] as Logged[], isDown: false, asked: [] as string[] };
  const add = (what: string, server = "other"): void => {
    engine.count += 1;
    engine.entries.push({ n: engine.count, server, what });
  };
  const changes: ForeignChange[] = [];
  const lags: unknown[] = [];
  const log = new ChangeLog({
    tier: "redis",
    server: ME,
    keys: { bases: [BASE] },
    engine: {
      async run(_script, _keys, [, , after = "", most = ""]) {
        if (engine.isDown) throw new VitrineError("tier_failed", "no connection");
        engine.asked.push(String(after));
        const id = ({ n }: Logged): string => `1000-${n}`;
        const from = engine.entries.findIndex((entry) => id(entry) === after) + 1;
        const behind = engine.entries.filter((entry) => after === "" || Number(String(after).split("-")[1]) < entry.n);
        const page = after === "" ? engine.entries.slice(-1) : behind.slice(0, Number(most));
        expect(from >= 0).toBe(true);
        const list = page.map((entry) => [
          Buffer.from(id(entry)),
          ["n", String(entry.n), "s", entry.server, "w", entry.what].map((text) => Buffer.from(text)),
        ]);
        return [Buffer.from(String(engine.count)), Buffer.from("2500000"), list];
      },
    },
    publish: (_name, fields) => void lags.push(fields),
    onChange: (change) => void changes.push(change),
  });
  return { engine, add, changes, lags, look: () => log.read(BASE) };
}

const keyChange = (key: string, tenant = ""): ForeignChange => ({ kind: "key", key: { tenant, key } });

test("ChangeLog reports what other servers change from its first look on, and how late", async () => {
  const { add, changes, lags, look } = bench();
  add("kearlier\0a");
  await look();
  expect(changes).toEqual([]);
  add("k\0a");
  add("kmine\0b", ME);
  add("kt\0c\0d é");
  add("tsome tenant");
  add("a");
  await look();
  const expected: ForeignChange[] = [
    keyChange("a"),
    keyChange("c\0d é", "t"),
    { kind: "tenant", tenant: "some tenant" },
    { kind: "any" },
  ];
  expect(changes).toEqual(expected);
  expect(lags).toEqual(
    ["key", "key", "tenant", "any"].map((scope) => ({ tier: "redis", scope, seconds: scope === "any" ? 0 : 1.5 })),
  );
  await look();
  expect(changes.length).toBe(4);
});

test("ChangeLog continues where it was when the engine could not be reached", async () => {
  const { engine, add, changes, look } = bench();
  await look();
  add("k\0a");
  engine.isDown = true;
  await expect(look()).rejects.toThrow("no connection");
  add("k\0b");
  engine.isDown = false;
  await look();
  expect(changes).toEqual([keyChange("a"), keyChange("b")]);
});

test("ChangeLog reads a long log in pages", async () => {
  const { add, changes, look, engine } = bench();
  await look();
  for (let n = 0; n < 2500; n += 1) add(`k\0${n}`);
  await look();
  expect(changes).toEqual(Array.from({ length: 2500 }, (_, n) => keyChange(String(n))));
  expect(engine.asked.length).toBe(4);
});

const losses: Readonly<Record<string, (engine: ReturnType<typeof bench>["engine"]) => void>> = {
  "the first new entries were trimmed": (engine) => void engine.entries.splice(0, 2),
  "one in the middle is missing": (engine) => void engine.entries.splice(2, 1),
  "the whole log is gone": (engine) => void engine.entries.splice(0),
  "the engine has lost its memory": (engine) => {
    engine.entries.splice(0);
    engine.count = 0;
  },
  "the engine counts anew": (engine) => {
    engine.entries.splice(0);
    engine.count = 0;
    engine.entries.push({ n: 9, server: "other", what: "k\0z" });
    engine.count = 1;
  },
};

for (const [title, lose] of Object.entries(losses)) {
  test(`ChangeLog reports that anything may have changed when ${title}, once`, async () => {
    const { engine, add, changes, look } = bench();
    add("k\0first");
    await look();
    for (const key of ["a", "b", "c"]) add(`k\0${key}`);
    lose(engine);
    await look();
    expect(changes).toEqual([{ kind: "any" }]);
  });
}

test("ChangeLog notices an entry that is missing in a full page", async () => {
  const { engine, add, changes, look } = bench();
  await look();
  for (let n = 0; n < 1500; n += 1) add(`k\0${n}`);
  engine.entries.splice(500, 1);
  await look();
  expect(changes[0]).toEqual({ kind: "any" });
});

test("ChangeLog follows on after a loss", async () => {
  const { engine, add, changes, look } = bench();
  add("k\0first");
  await look();
  add("k\0lost");
  engine.entries.splice(0);
  await look();
  add("k\0next");
  await look();
  expect(changes).toEqual([{ kind: "any" }, keyChange("next")]);
});
