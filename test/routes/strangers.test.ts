import { expect, test } from "bun:test";
import { HostGate, parseHost } from "../../routes/http/strangers.ts";
test("parseHost gives name and port when the field is one host", () => {
  const parsed = [
    "vitrine",
    "EXAMPLE.com:8080",
    "127.0.0.1:",
    "[::1]:80",
    "[V1.a:b]",
    "a_b",
    "xn--",
    "a%41",
    "a,b",
    "a:99999",
  ]
    .map(parseHost);
  expect(parsed).toEqual([
    { name: "vitrine", port: "" },
    { name: "example.com", port: "8080" },
    { name: "127.0.0.1", port: "" },
    { name: "[::1]", port: "80" },
    { name: "[v1.a:b]", port: "" },
    { name: "a_b", port: "" },
    { name: "xn--", port: "" },
    { name: "a%41", port: "" },
    { name: "a,b", port: "" },
    { name: "a", port: "99999" },
  ]);
});

test("parseHost gives undefined when the field is no host, or more than one", () => {
  const bad = [
    "",
    "a b",
    "a, b",
    "[",
    "[]",
    "[::1",
    "::1",
    "[::g]",
    "[::1]x",
    "[127.0.0.1]",
    "a/b",
    "u@h",
    "u:p@h",
    "a?b",
    "a#b",
  ];
  const worse = ["a\\b", "a:x", "a:1:2", ":80", "a%4", "a%zz", "<a>", "a|b", "a^b", "ÿ", "a\tb", "http://a", "a\n"];
  expect([...bad, ...worse].filter((field) => parseHost(field) !== undefined)).toEqual([]);
});

test("parseHost takes no longer than its input asks for when that nearly fits", () => {
  expect(parseHost(`${"a%41".repeat(100_000)}!:`)).not.toBe(undefined);
  expect(parseHost(`${"a%41".repeat(100_000)} `)).toBe(undefined);
});

const answers = (gate: HostGate, hosts: readonly (string | null)[]) =>
  Object.fromEntries(hosts.map((host) => [host, gate.refuse(host)?.code ?? "taken"]));
const all = (hosts: readonly (string | null)[], code: string) => Object.fromEntries(hosts.map((host) => [host, code]));

test("HostGate takes loopback names, addresses and no host at all when it is told no names", () => {
  const loopback = [
    "localhost",
    "LOCALHOST:8080",
    "localhost.",
    "a.localhost",
    "a.b.localhost:1",
    "127.0.0.1",
    "127.9.9.9:80",
    "[::1]:80",
  ];
  const addresses = ["10.0.0.7:8080", "[fd00::7]", "[::ffff:127.0.0.1]", "0.0.0.0:8080"];
  const hosts = [...loopback, ...addresses, null];
  expect(answers(new HostGate([]), hosts)).toEqual(all(hosts, "taken"));
});

test("HostGate refuses other names, also those that look like what it takes", () => {
  const hosts = [
    "evil.example",
    "evil.example:8080",
    "vitrine",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    ".localhost",
    "evil.localhost.",
    "1.2.3",
    "0x7f.1",
    "2130706433",
    "127.0.0.1.",
    "xn--localhost",
    "%6cocalhost",
    "localhost..",
    "a,localhost",
  ];
  const { "evil.localhost.": below, "127.0.0.1.": dotted, ...others } = answers(new HostGate([]), hosts);
  expect([below, dotted]).toEqual(["taken", "taken"]);
  expect(others).toEqual(all(Object.keys(others), "misdirected"));
});

test("HostGate answers bad_request when the field is no host", () => {
  const hosts = ["", "a b", "localhost, evil.example", "evil@localhost", "[", "localhost/x"];
  expect(answers(new HostGate(["*"]), hosts)).toEqual(all(hosts, "bad_request"));
});

test("HostGate takes the names it is told, what is below them with *., and everything with *", () => {
  const gate = new HostGate(["Vitrine", "*.cache.example"]);
  expect(answers(gate, ["vitrine", "VITRINE.:80", "a.cache.example", "a.b.cache.example:1"]))
    .toEqual(all(["vitrine", "VITRINE.:80", "a.cache.example", "a.b.cache.example:1"], "taken"));
  expect(answers(gate, ["cache.example", "a.vitrine", "xcache.example", ".cache.example"]))
    .toEqual(all(["cache.example", "a.vitrine", "xcache.example", ".cache.example"], "misdirected"));
  expect(new HostGate(["*"]).refuse("evil.example")).toBe(undefined);
});

test("HostGate goes on refusing when it has seen more hosts than it remembers", () => {
  const gate = new HostGate([]);
  for (let i = 0; i < 200; i++) expect(gate.refuse(`localhost:${i}`)).toBe(undefined);
  expect([gate.refuse("evil.example")?.code, gate.refuse("localhost:199")]).toEqual(["misdirected", undefined]);
});
