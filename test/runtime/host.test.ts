import { expect, test } from "bun:test";
import { VitrineError } from "../../src/core/errors.ts";
import {
  assumedText,
  descriptorLimitOf,
  Descriptors,
  findCpuCount,
  findMemoryLimit,
  hostFacts,
  HostFiles,
  ignoresHangup,
  print,
  reportError,
} from "../../src/runtime/host.ts";

function failing(code: string): (path: string) => string {
  return (path) => {
    throw Object.assign(new Error(`no access to ${path}`), { code });
  };
}

test("hostFacts assumes nothing on this machine when the files can be read", () => {
  const { memoryLimitBytes, cpuCount, assumptions } = hostFacts();
  expect(memoryLimitBytes).toBeGreaterThan(64 * 1024 ** 2);
  expect(cpuCount).toBeGreaterThan(0);
  expect(assumptions).toEqual([]);
});

test("hostFacts lists its assumptions when files may not be read", () => {
  expect(hostFacts(new HostFiles(failing("EACCES"))).assumptions).toEqual([
    "no memory limit",
    "no CPU quota",
  ]);
});

test("hostFacts assumes nothing when there are no such files", () => {
  expect(hostFacts(new HostFiles(failing("ENOENT"))).assumptions).toEqual([]);
});

test("assumedText lists the assumptions, and is empty when there are none", () => {
  expect(assumedText(["no memory limit", "no CPU quota"])).toContain(' assumed="no memory limit, no CPU quota" (');
  expect(assumedText([])).toBe("");
});

const gib = 1024 ** 3;

function memoryLimitOf(files: Readonly<Record<string, string>>): number {
  return findMemoryLimit({ readFile: (path) => files[path], totalBytes: 16 * gib });
}

test("findMemoryLimit takes the machine's memory when there are no control groups", () => {
  expect(memoryLimitOf({})).toBe(16 * gib);
});

test("findMemoryLimit takes memory.max when the container has one", () => {
  expect(memoryLimitOf({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": `${2 * gib}\n` })).toBe(2 * gib);
});

test("findMemoryLimit takes the machine's memory when memory.max says max", () => {
  expect(memoryLimitOf({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n" })).toBe(16 * gib);
});

test("findMemoryLimit takes the smallest limit when the group and its parent have one", () => {
  expect(memoryLimitOf({
    "/proc/self/cgroup": "0::/system.slice/vitrine.service\n",
    "/sys/fs/cgroup/system.slice/vitrine.service/memory.max": `${4 * gib}\n`,
    "/sys/fs/cgroup/system.slice/memory.max": `${3 * gib}\n`,
    "/sys/fs/cgroup/memory.max": "max\n",
  })).toBe(3 * gib);
});

test("findMemoryLimit takes memory.limit_in_bytes when control groups are version 1", () => {
  expect(memoryLimitOf({
    "/proc/self/cgroup": "9:name=systemd:/\n4:cpuset,memory:/docker/abc\n1:cpu:/\n0::/\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": `${gib}\n`,
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
  })).toBe(gib);
});

test("findMemoryLimit takes the machine's memory when the limit is larger", () => {
  expect(memoryLimitOf({ "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n" })).toBe(16 * gib);
});

const files = (content: Readonly<Record<string, string>>) => (path: string) => content[path];

const cases: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
  ["no control group sets a quota", {}, 8],
  ["version 2 says max", { "/sys/fs/cgroup/cpu.max": "max 100000\n" }, 8],
  ["version 2 grants two and a half cores", { "/sys/fs/cgroup/cpu.max": "250000 100000\n" }, 3],
  ["version 2 grants less than one core", { "/sys/fs/cgroup/cpu.max": "20000 100000\n" }, 1],
  ["the quota is above the machine", { "/sys/fs/cgroup/cpu.max": "6400000 100000\n" }, 8],
  ["version 1 says -1", {
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
  }, 8],
  ["version 1 grants four cores", {
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
  }, 4],
];

for (const [when, content, count] of cases) {
  test(`findCpuCount finds ${count} of 8 cores when ${when}`, () => {
    expect(findCpuCount({ readFile: files(content), cores: 8 })).toBe(count);
  });
}

test("descriptorLimitOf reads the soft limit, if there is one", () => {
  const limits =
    "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024                 524288               files\n";
  expect([
    descriptorLimitOf(limits),
    descriptorLimitOf("Max open files            unlimited            unlimited            files"),
    descriptorLimitOf(""),
  ])
    .toEqual([1024, undefined, undefined]);
});

test("Descriptors.areLow is true when only the reserve is left", () => {
  expect([3, 1_000_000, undefined].map((limit) => new Descriptors(limit).areLow())).toEqual([true, false, false]);
});

test("Descriptors.room is the limit less the reserve and the open descriptors", () => {
  expect(new Descriptors(3).room()).toBe(0);
  expect(new Descriptors(1_000_000).room()).toBeGreaterThan(900_000);
});

test("print passes the value on", () => {
  const printed: unknown[] = [];
  print((value) => printed.push(value), "a line");
  expect(printed).toEqual(["a line"]);
});

test("print does not throw when the console does, as Deno's on a full disk", () => {
  const full = () => {
    throw new Error("No space left on device (os error 28)");
  };
  expect(() => print(full, "a line")).not.toThrow();
});

test("ignoresHangup reads the mask of ignored signals when nohup has set it", () => {
  expect(ignoresHangup("Name:\tbun\nSigBlk:\t0000000000000000\nSigIgn:\t0000000001001001\n")).toBe(true);
  expect(ignoresHangup("SigIgn:\t0000000001001000\n")).toBe(false);
  expect(ignoresHangup("")).toBe(false);
});

test("reportError prints a failure of ours as one line with its causes, and any other error as it is", () => {
  const printed: unknown[] = [];
  const line = (value: unknown) => printed.push(value);
  const bug = new TypeError("undefined is not a function");
  const cause = new VitrineError("tier_failed", "load from tier: wrong checksum from fs");
  reportError(new VitrineError("tier_failed", "read object: its load failed half-way", { cause }), line);
  reportError(bug, line);
  expect(printed).toEqual([
    "vitrine: read object: its load failed half-way: load from tier: wrong checksum from fs",
    bug,
  ]);
});
