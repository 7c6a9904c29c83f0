import { expect, test } from "bun:test";
import { once } from "node:events";
import { createServer } from "node:net";
import { findPorts } from "../../src/compose/cluster.ts";
import { ConfigError } from "../../src/config/setting_sources.ts";
test("findPorts finds two free ports when any will do", async () => {
  const [port, adminPort] = await findPorts({ host: "127.0.0.1", port: 0, adminPort: 0 });
  expect(port).toBeGreaterThan(0);
  expect(adminPort).not.toBe(port);
});

for (const host of ["no.such.host.invalid", "300.1.1.1", "a b", "192.0.2.1"]) {
  test(`findPorts calls ${host} a bad value for the host`, async () => {
    const finding = findPorts({ host, port: 0, adminPort: 0 });
    await expect(finding).rejects.toBeInstanceOf(ConfigError);
    await expect(finding).rejects.toThrow(`bad value for --host: "${host}", no `);
  });
}

for (const [setting, flag] of [["port", "--port"], ["adminPort", "--admin-port"]] as const) {
  test(`findPorts names ${flag} when somebody has its port`, async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const taken = typeof address === "object" && address !== null ? address.port : 0;
    const finding = findPorts({ host: "127.0.0.1", port: 0, adminPort: 0, [setting]: taken });
    await expect(finding).rejects.toThrow(`listen on 127.0.0.1, ${flag} ${taken}: listen EADDRINUSE`);
    other.close();
  });
}
