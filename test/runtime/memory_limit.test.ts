import { expect, test } from "bun:test";
import { findMemoryLimit } from "../../src/runtime/memory_limit.ts";

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
