import { expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { publicConfig } from "../../src/config/public_config.ts";

function shownTier(url: string): string | undefined {
  const sources = {
    args: ["--l2", url],
    env: {},
    readFile: () => undefined,
    memoryLimitBytes: 1e9,
    cpuCount: 1,
    version: "",
  };
  const result = loadConfig(sources);
  return "config" in result ? publicConfig(result.config).l2[0] : undefined;
}

test("publicConfig shows a tier as it is when its URL holds no secret", () => {
  expect(shownTier("file://./.vitrine?max=50GiB")).toBe("file://./.vitrine?max=50GiB");
});

test("publicConfig hides the password when a tier URL holds one", () => {
  expect(shownTier("redis://me:p@ss:word@host:6379/1")).toBe("redis://me:***@host:6379/1");
  expect(shownTier("redis://:pass@host")).toBe("redis://:***@host");
});

test("publicConfig hides the tokens when there are some, and loadConfig does when they are none", () => {
  const load = (tokens: string) =>
    loadConfig({
      args: ["--tokens", tokens],
      env: {},
      readFile: () => undefined,
      memoryLimitBytes: 1e9,
      cpuCount: 1,
      version: "",
    });
  const shown = (tokens: string) => {
    const loaded = load(tokens);
    return "config" in loaded ? [loaded.config.tokens, publicConfig(loaded.config).tokens] : [];
  };
  expect(shown("open-sesame")).toEqual(["open-sesame", "***"]);
  expect(shown("none")).toEqual([undefined, undefined]);
  expect(() => load(" ")).toThrow('bad value for --tokens: "***", expected');
});

test("publicConfig hides secret parameters when a tier URL holds some", () => {
  expect(shownTier("s3://bucket?endpoint=http://h&secret_access_key=abc&region=eu")).toBe(
    "s3://bucket?endpoint=http://h&secret_access_key=***&region=eu",
  );
});

test("publicConfig takes no longer than its input asks for when a tier URL nearly holds secrets, and hides what follows one", () => {
  const long = `file://a?${"?key".repeat(50_000)}`;
  expect(shownTier(long)).toBe(long);
  expect(shownTier("s3://b?a=1?token=x?y&b=2#key=c")).toBe("s3://b?a=1?token=***&b=2#key=c");
});
