import { expect, test } from "bun:test";
import { exposureWarning } from "../../src/config/exposure_warning.ts";

test("exposureWarning is empty when only this machine reaches the host", () => {
  const hosts = ["127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost", "a.localhost"];
  expect(hosts.filter((host) => exposureWarning({ host }) !== "")).toEqual([]);
});

test("exposureWarning names the host when others may reach it", () => {
  for (
    const host of ["0.0.0.0", "::", "10.0.0.7", "fe80::1", "::ffff:10.0.0.7", "::2:1", "vitrine", "127.0.0.1.example"]
  ) {
    expect(exposureWarning({ host })).toContain(`warning: ${host} `);
  }
});
