import { expect, test } from "bun:test";
import { accessText, type Config, type ConfigSources, isExposed, loadConfig, publicConfig } from "../src/config.ts";
import { ConfigError } from "../src/config/setting_sources.ts";
import { settingDocs } from "../src/config/settings.ts";

const gib = 1024 ** 3;

function load(sources: Partial<ConfigSources>): ReturnType<typeof loadConfig> {
  return loadConfig({
    args: [],
    env: {},
    readFile: () => undefined,
    memoryLimitBytes: 8 * gib,
    cpuCount: 4,
    version: "1.2.3",
    ...sources,
  });
}

function configFrom(sources: Partial<ConfigSources>): Config {
  const result = load(sources);
  if ("text" in result) throw new Error(`expected settings: ${result.text}`);
  return result.config;
}

function refusal(sources: Partial<ConfigSources>): string {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("expected a refusal");
}

function fileWith(content: string, path = "vitrine.json"): ConfigSources["readFile"] {
  return (asked) => asked === path ? content : undefined;
}

test("loadConfig gives the defaults when nothing is set", () => {
  expect(configFrom({})).toEqual({
    host: "127.0.0.1",
    port: 8080,
    adminPort: 9090,
    workers: 4,
    workerTimeoutMs: 5000,
    l1SizeBytes: 2 * gib,
    l1Policy: "s3-fifo",
    l1MaxObjects: 524_288,
    l1AdmissionLimitBytes: 256 * 1024 ** 2,
    l1HighWatermark: 0.8,
    l1LowWatermark: 0.6,
    l1ReadLeaseMs: 300_000,
    l1WriteLeaseMs: 600_000,
    l2: ["file://./.vitrine"],
    l2TimeoutMs: 30_000,
    scrubBytesPerSecond: 4 * 1024 ** 2,
    write: "back",
    maxObjectBytes: 64 * gib,
    storeQueueEntries: 1024,
    storeQueueBytes: gib / 2,
    storeQueueAgeMs: 60_000,
    storeConcurrency: 32,
    prefetchJobs: 64,
    prefetchLoads: 8,
    idleTimeoutMs: 60_000,
    sizedBodyBytes: 32 * 1024 ** 2,
    shutdownTimeoutMs: 30_000,
    observability: true,
    tenantLabels: 20,
    logLevel: "info",
    requestLogPath: undefined,
    eventQueueEntries: 10_000,
    allowedHosts: ["127.0.0.1"],
    tokensFile: undefined,
    quotasFile: "auto",
    tokens: undefined,
    tlsCert: undefined,
    tlsKey: undefined,
    s3Key: undefined,
    s3Hosts: [],
    s3Md5: true,
    jwksUrl: undefined,
    jwtIssuer: undefined,
    jwtAudience: undefined,
    jwtTenantClaim: "tenant",
    jwtScopeClaim: "scope",
    jwtScopes: [],
    hasTokens: false,
    insecureOpen: false,
    metricsAccess: "token",
    trustedProxies: [],
    proxyHeader: "x-forwarded-for",
    maxRequests: 10_000,
    maxTenantRequests: 0,
    tenantRate: 0,
    maxUploadBytes: 0,
    transferTimeoutMs: 120_000,
    maxEventStreams: 16,
    corsOrigins: [],
  });
});

test("loadConfig reads the level, the request log and the number of tenants", () => {
  const args = ["--log-level=debug", "--request-log=/var/log/v.jsonl"];
  const env = { VITRINE_TENANT_LABELS: "3" };
  const { logLevel, requestLogPath, tenantLabels } = configFrom({ args, env });
  expect([logLevel, requestLogPath, tenantLabels]).toEqual(["debug", "/var/log/v.jsonl", 3]);
});

test("loadConfig refuses a host beyond loopback without tokens, unless --insecure-open is set", () => {
  for (const host of ["0.0.0.0", "::", "10.0.0.7", "vitrine"]) {
    expect(refusal({ args: ["--host", host] })).toContain(`no tokens are configured: ${host}: `);
    const open = configFrom({ args: ["--host", host, "--insecure-open", "--port", "1"] });
    expect([open.host, open.insecureOpen, open.port, open.hasTokens]).toEqual([host, true, 1, false]);
    expect(configFrom({ args: ["--host", host, "--tokens-file", "t"] })).toMatchObject({ host, hasTokens: true });
    expect(configFrom({ env: { VITRINE_HOST: host, VITRINE_TOKENS: "{}" } })).toMatchObject({ host, hasTokens: true });
  }
  expect(configFrom({ env: { VITRINE_HOST: "::", VITRINE_INSECURE_OPEN: "on" } }).insecureOpen).toBe(true);
  expect(refusal({ args: ["--host=::", "--insecure-open=off"] })).toContain("no tokens are configured");
  expect(refusal({ args: ["--insecure-open=yes"] })).toContain('bad value for --insecure-open: "yes"');
  expect(refusal({ args: ["--insecure-open", "on"] })).toBe("unexpected argument: on");
});

test("loadConfig takes tokens from one place only, and shows none of them", () => {
  expect(refusal({ args: ["--tokens-file", "t"], env: { VITRINE_TOKENS: "vit_secret" } })).toBe(
    "tokensFile and tokens are both set: use one of them",
  );
  expect(refusal({ env: { VITRINE_ADMIN_TOKEN: "vit_secret" } })).toMatch(
    /^VITRINE_ADMIN_TOKEN was removed: create a token/,
  );
});

test("loadConfig with tokens allows any Host unless names are configured", () => {
  const args = ["--tokens-file", "t"];
  expect(configFrom({ args }).allowedHosts).toEqual(["*"]);
  expect(configFrom({ args: [...args, "--allowed-hosts", "a"] }).allowedHosts).toEqual(["127.0.0.1", "a"]);
});

test("loadConfig with tokens turns tenant labels off when everybody may read /metrics", () => {
  const args = ["--metrics-access", "open", "--tenant-labels", "5"];
  expect(configFrom({ args }).tenantLabels).toBe(5);
  expect(configFrom({ args: [...args, "--tokens-file", "t"] }).tenantLabels).toBe(0);
});

test("loadConfig accepts origins as browsers send them, and nothing else", () => {
  const origins = (text: string) => configFrom({ args: ["--cors-origins", text] }).corsOrigins;
  expect(origins("https://a.example, http://localhost:3000")).toEqual(["https://a.example", "http://localhost:3000"]);
  for (const bad of ["*", "a.example", "https://a.example/", "https://A.example", "null", "https://a:443", "file://"]) {
    expect(refusal({ args: ["--cors-origins", bad] })).toContain("expected origins");
  }
});

test("loadConfig takes at most 4 GiB for L1 when the memory limit is large", () => {
  expect(configFrom({ memoryLimitBytes: 64 * gib }).l1SizeBytes).toBe(4 * gib);
});

test("loadConfig takes 1 MiB for L1 and 1024 objects when the memory limit is tiny", () => {
  const { l1SizeBytes, l1MaxObjects } = configFrom({ memoryLimitBytes: 1024 });
  expect([l1SizeBytes, l1MaxObjects]).toEqual([1024 ** 2, 1024]);
});

test("loadConfig prefers flags to variables to the file when all of them set a setting", () => {
  const readFile = fileWith(`{"host": "file", "port": 1, "storeConcurrency": 3}`);
  const env = { VITRINE_HOST: "::1", VITRINE_PORT: "2", PATH: "/bin" };
  const { host, port, storeConcurrency } = configFrom({ args: ["--host", "localhost"], env, readFile });
  expect([host, port, storeConcurrency]).toEqual(["localhost", 2, 3]);
});

test("loadConfig accepts both forms of a flag with a value", () => {
  const { l1SizeBytes, l1ReadLeaseMs } = configFrom({ args: ["--l1-size=256MiB", "--l1-read-lease", "90s"] });
  expect([l1SizeBytes, l1ReadLeaseMs]).toEqual([256 * 1024 ** 2, 90_000]);
});

test("loadConfig reads another file when --config or VITRINE_CONFIG names one", () => {
  const readFile = fileWith(`{"port": 9}`, "/etc/v.json");
  const byFlag = configFrom({ args: ["--config", "/etc/v.json"], readFile });
  const byVariable = configFrom({ env: { VITRINE_CONFIG: "/etc/v.json" }, readFile });
  expect([byFlag.port, byVariable.port]).toEqual([9, 9]);
});

test("loadConfig reads a file with a byte order mark and lines that end with CR and LF", () => {
  expect(configFrom({ readFile: fileWith('\uFEFF{\r\n"port": 9\r\n}\r\n') }).port).toBe(9);
});

test("loadConfig has no tiers when l2 is none, and several when they are separated by commas", () => {
  expect(configFrom({ args: ["--l2", "none"] }).l2).toEqual([]);
  expect(configFrom({ args: ["--l2", "file:///a?max=1GiB, file:///b"] }).l2).toEqual([
    "file:///a?max=1GiB",
    "file:///b",
  ]);
});

test("loadConfig takes the path of a folder for its URL", () => {
  const l2 = (text: string) => configFrom({ args: ["--l2", text] }).l2;
  expect(l2("/var/lib/x")).toEqual(["file:///var/lib/x"]);
  expect(l2("./x?max=10GB,../y,s3://bucket")).toEqual(["file://./x?max=10GB", "file://../y", "s3://bucket"]);
  expect(l2("/a b/100%#1")).toEqual(["file:///a%20b/100%25%231"]);
  expect(() => l2("x/y")).toThrow("expected paths of folders or URLs");
});

const refusals: readonly (readonly [string, Partial<ConfigSources>, string])[] = [
  ["a flag is unknown", { args: ["--l1-sise", "1GiB"] }, "unknown flag: --l1-sise; did you mean --l1-size?"],
  ["a flag is unknown and like no other", { args: ["--anything-else", "1"] }, "unknown flag: --anything-else"],
  ["a flag has no value", { args: ["--port"] }, "missing value for flag: --port"],
  ["there is an argument without a flag", { args: ["serve"] }, "unexpected argument: serve"],
  [
    "a flag was removed",
    { args: ["--request-log-size", "1GiB"] },
    "--request-log-size was removed: the request log is reopened on SIGUSR2, so that logrotate can rename it",
  ],
  [
    "a variable was removed",
    { env: { VITRINE_REQUEST_LOG_FILES: "4" } },
    "VITRINE_REQUEST_LOG_FILES was removed: the request log is reopened on SIGUSR2, so that logrotate can rename it",
  ],
  [
    "a variable is unknown",
    { env: { VITRINE_L1SIZE: "1GiB" } },
    "unknown variable: VITRINE_L1SIZE; did you mean VITRINE_L1_SIZE?",
  ],
  [
    "a key of the file is unknown",
    { readFile: fileWith(`{"l1-size": 1}`) },
    "unknown setting in vitrine.json: l1-size; did you mean l1Size?",
  ],
  [
    "a key of the file is unknown, and one that every object has",
    { readFile: fileWith(`{"constructor": 1}`) },
    "unknown setting in vitrine.json: constructor",
  ],
  [
    "a key of the file is __proto__",
    { readFile: fileWith(`{"__proto__": "x"}`) },
    "unknown setting in vitrine.json: __proto__",
  ],
  [
    "the file holds an array",
    { readFile: fileWith("[]") },
    "cannot read settings from vitrine.json: not an object",
  ],
  [
    "a value of the file is neither text nor number",
    { readFile: fileWith(`{"observability": false}`) },
    "bad value for observability in vitrine.json: neither a string nor a number",
  ],
  [
    "a value has more than one line, and tells a terminal what to do",
    { args: ["--write", "\u001B[2Ja\nb"] },
    `bad value for --write: "\uFFFD[2Ja\uFFFDb", expected back or through`,
  ],
  [
    "a value of the file is very long",
    { readFile: fileWith(`{"write": "${"x".repeat(1_000_000)}"}`) },
    `bad value for write in vitrine.json: "${"x".repeat(200)}…", expected back or through`,
  ],
  ["the named file is not there", { args: ["--config", "x.json"] }, "no such file for --config: x.json"],
  [
    "a flag is bad",
    { args: ["--port", "65536"] },
    `bad value for --port: "65536", expected a whole number from 0 to 65535`,
  ],
  [
    "a variable is bad",
    { env: { VITRINE_L1_SIZE: "1MB" } },
    `bad value for VITRINE_L1_SIZE: "1MB", expected auto, or a size of at least 1MiB, such as 256MiB or 8GB`,
  ],
  [
    "a value of the file is bad",
    { readFile: fileWith(`{"write": "later"}`) },
    `bad value for write in vitrine.json: "later", expected back or through`,
  ],
  [
    "more than one worker is asked for",
    { args: ["--workers", "65"] },
    `bad value for --workers: "65", expected auto, or a whole number from 1 to 64`,
  ],
  [
    "a bad tier URL holds a password",
    { env: { VITRINE_L2: "redis://me:se cret@host" } },
    `bad value for VITRINE_L2: "redis://me:***@host", expected paths of folders or URLs separated by commas, such as /var/lib/vitrine?max=10GB, or none`,
  ],
  [
    "the watermarks are crossed",
    { args: ["--l1-low-watermark", "0.9"] },
    "l1LowWatermark is not below l1HighWatermark: 0.9, 0.8",
  ],
  [
    "the admission limit is above the size",
    { args: ["--l1-size", "1MiB", "--l1-admission-limit", "2MiB"] },
    "l1AdmissionLimit is above l1Size: 2097152, 1048576",
  ],
  [
    "write is through without a tier",
    { args: ["--l2=none", "--write=through"] },
    "write through needs a tier: l2 is none",
  ],
];

for (const [when, sources, message] of refusals) {
  test(`loadConfig refuses in one line when ${when}`, () => {
    expect(refusal(sources)).toBe(message);
  });
}

test("loadConfig refuses in one line when the file is malformed", () => {
  for (const content of ["{", "[{}]", `{"port": 1`, `"x"`]) {
    expect(refusal({ readFile: fileWith(content) })).toMatch(/^cannot read settings from vitrine\.json: [^\n]+$/);
  }
});

test("loadConfig gives a text with every flag when --help is asked for", () => {
  const result = load({ args: ["--port", "x", "--help"] });
  const text = "text" in result ? result.text : "";
  expect(text).toContain("--l1-size VALUE");
  expect(text.match(/^ {2}--/gm)?.length).toBe(settingDocs().length + 3);
});

test("loadConfig gives the version when --version is asked for", () => {
  expect(load({ args: ["--version"] })).toEqual({ text: "1.2.3" });
});

test("settingDocs has a help text and a default for every setting when the schema is read", () => {
  for (const doc of settingDocs()) {
    expect(doc.help).toMatch(/\.$/);
    expect(doc.defaultText).not.toBe("");
  }
});

test("loadConfig names the origin of the tiers and shows no password when they are refused", () => {
  const checkTiers = (): void => {
    throw new Error("read L2 URL: unknown scheme: s3:");
  };
  const why = "read L2 URL: unknown scheme: s3:";
  expect(refusal({ args: ["--l2", "s3://a:b@c"], checkTiers })).toBe(`bad value for --l2: "s3://a:***@c", ${why}`);
  expect(refusal({ env: { VITRINE_L2: "s3://c" }, checkTiers })).toBe(`bad value for VITRINE_L2: "s3://c", ${why}`);
  expect(refusal({ checkTiers })).toBe(`bad value for --l2: "file://./.vitrine", ${why}`);
});

test("loadConfig checks the tiers for the number of workers", () => {
  const asked: unknown[] = [];
  configFrom({ args: ["--l2", "file:a,file:b"], checkTiers: (...each) => void asked.push(each) });
  expect(asked).toEqual([[["file:a", "file:b"], 4]]);
});

test("loadConfig refuses the same port for both listeners, except 0", () => {
  expect(refusal({ args: ["--port", "81", "--admin-port", "81"] })).toBe("port and adminPort are the same: 81");
  expect(configFrom({ args: ["--port", "0", "--admin-port", "0"] }).port).toBe(0);
});

test("loadConfig names the file when it cannot be read", () => {
  const readFile = (): never => {
    throw new Error("EISDIR: illegal operation on a directory");
  };
  expect(refusal({ args: ["--config", "/tmp"], readFile })).toBe(
    "cannot read settings from /tmp: EISDIR: illegal operation on a directory",
  );
});

function shownTier(url: string): string | undefined {
  return publicConfig(configFrom({ args: ["--l2", url] })).l2[0];
}

test("publicConfig shows a tier unchanged when its URL contains no secret", () => {
  expect(shownTier("file://./.vitrine?max=50GiB")).toBe("file://./.vitrine?max=50GiB");
});

test("publicConfig hides the password when a tier URL contains one", () => {
  expect(shownTier("redis://me:p@ss:word@host:6379/1")).toBe("redis://me:***@host:6379/1");
  expect(shownTier("redis://:pass@host")).toBe("redis://:***@host");
});

test("publicConfig hides tokens, and loadConfig hides them when they are refused", () => {
  const shown = (tokens: string) => {
    const config = configFrom({ args: ["--tokens", tokens] });
    return [config.tokens, publicConfig(config).tokens];
  };
  expect(shown("open-sesame")).toEqual(["open-sesame", "***"]);
  expect(shown("none")).toEqual([undefined, undefined]);
  expect(refusal({ args: ["--tokens", " "] })).toMatch(/^bad value for --tokens: "\*\*\*", expected/);
});

test("publicConfig hides secret parameters when a tier URL contains some", () => {
  expect(shownTier("s3://bucket?endpoint=http://h&secret_access_key=abc&region=eu")).toBe(
    "s3://bucket?endpoint=http://h&secret_access_key=***&region=eu",
  );
});

test("publicConfig takes linear time when a tier URL nearly contains secrets, and hides what follows one", () => {
  const long = `file://a?${"?key".repeat(50_000)}`;
  expect(shownTier(long)).toBe(long);
  expect(shownTier("s3://b?a=1?token=x?y&b=2#key=c")).toBe("s3://b?a=1?token=***&b=2#key=c");
});

test("isExposed is false when only this machine reaches the host", () => {
  const hosts = ["127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost", "a.localhost"];
  expect(hosts.filter((host) => isExposed({ host }))).toEqual([]);
});

test("isExposed is true, and accessText warns without tokens, when other machines may reach the host", () => {
  for (
    const host of ["0.0.0.0", "::", "10.0.0.7", "fe80::1", "::ffff:10.0.0.7", "::2:1", "vitrine", "127.0.0.1.example"]
  ) {
    expect(isExposed({ host })).toBe(true);
    expect(accessText({ host, hasTokens: false })).toContain(`warning: no tokens, and ${host} `);
    expect(accessText({ host, hasTokens: true })).toBe(" access=tokens");
  }
});

test("accessText says that the server is open when it listens on loopback without tokens", () => {
  expect(accessText({ host: "::1", hasTokens: false })).toContain(" access=open (no tokens");
});

test("loadConfig refuses halves of what belongs together", () => {
  const jwks = ["--jwks-url", "https://a.example/keys"];
  expect(refusal({ args: ["--tls-cert", "c"] })).toBe("one of tlsCert and tlsKey is set without the other");
  expect(refusal({ args: ["--tls-key", "k"] })).toBe("one of tlsCert and tlsKey is set without the other");
  for (const half of [[], ["--jwt-issuer", "i"], ["--jwt-audience", "a"]]) {
    expect(refusal({ args: [...jwks, ...half] })).toContain("jwksUrl is set without jwtIssuer and jwtAudience");
  }
  const config = configFrom({ args: [...jwks, "--jwt-issuer", "i", "--jwt-audience", "a", "--host", "0.0.0.0"] });
  expect([config.hasTokens, config.allowedHosts]).toEqual([true, ["*"]]);
});

test("loadConfig refuses a limit on uploads that the largest object could never pass", () => {
  const args = ["--max-object", "1MiB", "--max-upload"];
  expect(refusal({ args: [...args, "1048575"] })).toBe("maxUpload is below maxObject: 1048575, 1048576");
  expect(configFrom({ args: [...args, "1MiB"] }).maxUploadBytes).toBe(1024 ** 2);
  expect(configFrom({ args: [...args, "0B"] }).maxUploadBytes).toBe(0);
});
