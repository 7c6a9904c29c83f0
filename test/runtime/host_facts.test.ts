import { expect, test } from "bun:test";
import { assumedText, hostFacts } from "../../src/runtime/host_facts.ts";
import { HostFiles } from "../../src/runtime/host_files.ts";
import { ignoresHangup } from "../../src/runtime/ignored_signals.ts";

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

test("hostFacts tells what it assumes when files may not be read", () => {
  expect(hostFacts(new HostFiles(failing("EACCES"))).assumptions).toEqual([
    "no memory limit",
    "no CPU quota",
  ]);
});

test("hostFacts assumes nothing when there are no such files", () => {
  expect(hostFacts(new HostFiles(failing("ENOENT"))).assumptions).toEqual([]);
});

test("ignoresHangup reads the mask of ignored signals when nohup has set it", () => {
  expect(ignoresHangup("Name:\tbun\nSigBlk:\t0000000000000000\nSigIgn:\t0000000001001001\n")).toBe(true);
  expect(ignoresHangup("SigIgn:\t0000000001001000\n")).toBe(false);
  expect(ignoresHangup("")).toBe(false);
});

test("assumedText says what is assumed and nothing when nothing is", () => {
  expect(assumedText(["no memory limit", "no CPU quota"])).toContain(' assumed="no memory limit, no CPU quota" (');
  expect(assumedText([])).toBe("");
});
