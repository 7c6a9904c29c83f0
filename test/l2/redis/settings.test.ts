import { expect, test } from "bun:test";
import { redactUrl } from "../../../src/config/value_format.ts";
import { checkTiers } from "../../../src/l2/mod.ts";
import { type RedisKind, redisSettings } from "../../../src/l2/redis/settings.ts";
import { TierUrl } from "../../../src/l2/url.ts";

function read(text: string, kind: RedisKind = "single") {
  const url = new TierUrl(text);
  const settings = redisSettings(url, { kind, tls: text.startsWith("rediss") });
  url.finish();
  return settings;
}

test("redisSettings has defaults for all but the host", () => {
  expect(read("redis://engine")).toEqual({
    kind: "single",
    tls: false,
    nodes: [{ host: "engine", port: 6379 }],
    user: {},
    database: 0,
    prefix: "vitrine",
    isCoherent: true,
    master: "",
    sentinelUser: {},
  });
});

test("redisSettings reads user, password, hosts, database and parameters", () => {
  const one = read("rediss://us%3Aer:p%40ss%2Fw%3Ard@[::1]:7000/15?prefix=a.b:c-d&ca=/etc/ca.pem");
  expect(one).toMatchObject({
    nodes: [{ host: "::1", port: 7000 }],
    user: { username: "us:er", password: "p@ss/w:rd" },
    database: 15,
    prefix: "a.b:c-d",
    caPath: "/etc/ca.pem",
  });
  expect(read("redis://:secret@h").user).toEqual({ password: "secret" });
  expect(read("redis+cluster://a:1,b,[::2]:3/?prefix=x", "cluster").nodes).toEqual([
    { host: "a", port: 1 },
    { host: "b", port: 6379 },
    { host: "::2", port: 3 },
  ]);
  expect(read("redis+sentinel://u:p@a,b:1/2?master=m&sentinel_user=su&sentinel_password=sp", "sentinel")).toMatchObject(
    {
      nodes: [{ host: "a", port: 26_379 }, { host: "b", port: 1 }],
      user: { username: "u", password: "p" },
      database: 2,
      master: "m",
      sentinelUser: { username: "su", password: "sp" },
    },
  );
});

for (
  const [url, named] of [
    ["redis://", "not a host"],
    ["redis://h:x", "not a host"],
    ["redis://h:70000", "not a host"],
    ["redis://a,b", "one host"],
    ["redis://h/x", "must look like"],
    ["redis://u:%zz@h", "percent-encoding"],
    ["redis://h?max=1GiB", "maxmemory-policy"],
    ["redis://h?prefix=a%7Bb", "prefix must be"],
    ["redis://h?ca=x", "rediss"],
    ["redis://h?master=m", "unknown parameter: master"],
    ["redis://h?fsync=on", "unknown parameter: fsync"],
    ["redis+cluster://h/1", "no databases"],
    ["redis+cluster://h,,g", "not a host"],
  ] as const
) {
  test(`checkTiers refuses ${url} and says why`, () => {
    expect(() => checkTiers([url], 2)).toThrow(named);
  });
}

test("checkTiers refuses the same prefix of one engine twice, and takes two of them", () => {
  const same = ["redis://h", "redis://u:p@H:6379/0?name=other&prefix=vitrine"];
  expect(() => checkTiers(same, 2)).toThrow("the same tier twice");
  checkTiers(["redis://h", "redis://h?name=b&prefix=other", "redis://h/1?name=c"], 2);
});

test("no error and no shown URL has the password", () => {
  const urls = ["redis://u:hunter2@h/x", "redis+sentinel://u:hunter2@a,b/0?sentinel_password=hunter2&x=1"];
  for (const url of urls) {
    expect(redactUrl(url)).not.toContain("hunter2");
    expect(() => checkTiers([url], 1)).toThrow(/^(?!.*hunter2)/);
  }
});
