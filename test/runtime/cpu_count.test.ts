import { expect, test } from "bun:test";
import { findCpuCount } from "../../src/runtime/cpu_count.ts";

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
