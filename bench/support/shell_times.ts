/** A script for `sh -c` that runs its arguments and then prints the processor time that they took. */
export const WITH_TIMES = '"$@"; status=$?; times; exit $status';

/** Seconds of processor time, user and system, of the command that `WITH_TIMES` ran. */
export function childSeconds(output: string): number {
  // The last line is about the children of the shell: "0m1.230000s 0m0.450000s".
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  return Array.from(last.matchAll(/(\d+)m([\d.]+)s/g), ([, minutes, seconds]) => 60 * Number(minutes) + Number(seconds))
    .reduce((sum, seconds) => sum + seconds, 0);
}
