import { expect, test } from "bun:test";
import { assumedText, findCpuCount, findMemoryLimit, hostFacts, HostFiles } from "../../src/runtime/host_facts.ts";

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

function limitOf(files: Readonly<Record<string, string>>): number {
  return findMemoryLimit({ readFile: (path) => files[path], totalBytes: 16 * gib });
}

test("findMemoryLimit takes the machine's memory when there are no control groups", () => {
  expect(limitOf({})).toBe(16 * gib);
});

test("findMemoryLimit takes memory.max when the container has one", () => {
  expect(limitOf({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": `${2 * gib}\n` })).toBe(2 * gib);
});

test("findMemoryLimit takes the machine's memory when memory.max says max", () => {
  expect(limitOf({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n" })).toBe(16 * gib);
});

test("findMemoryLimit takes the smallest limit when the group and its parent have one", () => {
  expect(limitOf({
    "/proc/self/cgroup": "0::/system.slice/vitrine.service\n",
    "/sys/fs/cgroup/system.slice/vitrine.service/memory.max": `${4 * gib}\n`,
    "/sys/fs/cgroup/system.slice/memory.max": `${3 * gib}\n`,
    "/sys/fs/cgroup/memory.max": "max\n",
  })).toBe(3 * gib);
});

test("findMemoryLimit takes memory.limit_in_bytes when control groups are version 1", () => {
  expect(limitOf({
    "/proc/self/cgroup": "9:name=systemd:/\n4:cpuset,memory:/docker/abc\n1:cpu:/\n0::/\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": `${gib}\n`,
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
  })).toBe(gib);
});

test("findMemoryLimit takes the machine's memory when the limit is larger", () => {
  expect(limitOf({ "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n" })).toBe(16 * gib);
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
