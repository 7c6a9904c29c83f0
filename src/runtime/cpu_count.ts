/** What the count is found from. `readFile` returns undefined if there is no such file, or it cannot be read. */
export interface CpuSources {
  readonly readFile: (path: string) => string | undefined;
  readonly cores: number;
}

/**
 * Cores this process may keep busy: the machine's, or the quota of its control group (version 2, 1) if that is less,
 * rounded up; at least 1.
 */
export function findCpuCount({ readFile, cores }: CpuSources): number {
  const [quota, period] = readFile("/sys/fs/cgroup/cpu.max")?.split(/\s/) ??
    [readFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), readFile("/sys/fs/cgroup/cpu/cpu.cfs_period_us")];
  // "max" and -1 are not quotas.
  const share = Number.parseInt(quota ?? "", 10) / Number.parseInt(period ?? "", 10);
  return share > 0 ? Math.max(1, Math.min(cores, Math.ceil(share))) : cores;
}
