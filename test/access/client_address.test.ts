import { expect, test } from "bun:test";
import fc from "fast-check";
import { ClientAddress } from "../../src/access/client_address.ts";

const PROXY = "10.0.0.1";
const trustedProxies = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"];
const byList = new ClientAddress({ trustedProxies, proxyHeader: "x-forwarded-for" });
const byForwarded = new ClientAddress({ trustedProxies, proxyHeader: "forwarded" });

const from = (address: ClientAddress, socket: string, field: Readonly<Record<string, string>>) =>
  address.of(socket, new Headers(field));

test("the socket's address counts unless it is a proxy that is trusted", () => {
  const none = new ClientAddress({ trustedProxies: [], proxyHeader: "x-forwarded-for" });
  const named = { "x-forwarded-for": "1.2.3.4" };
  expect(from(none, PROXY, named)).toBe(PROXY);
  expect(from(byList, "198.51.100.1", named)).toBe("198.51.100.1");
  expect(from(byList, "", named)).toBe("");
  for (const proxy of [PROXY, "::ffff:10.9.9.9", "fd00::1", "192.0.2.7"]) {
    expect([proxy, from(byList, proxy, named)]).toEqual([proxy, "1.2.3.4"]);
  }
  expect(from(byList, PROXY, {})).toBe(PROXY);
});

test("X-Forwarded-For is read from its end: a client cannot choose the address it is counted under", () => {
  for (
    const [field, client] of [
      ["6.6.6.6, 1.2.3.4", "1.2.3.4"],
      ["6.6.6.6, 1.2.3.4, 10.1.1.1,10.2.2.2", "1.2.3.4"],
      ["10.3.3.3, 10.2.2.2", "10.3.3.3"],
      ["1.2.3.4, unknown, 10.2.2.2", "10.2.2.2"],
      ["1.2.3.4,", PROXY],
      ["1.2.3.4:4711", "1.2.3.4"],
      ["[2001:db8::1]:4711", "2001:db8::1"],
      ["2001:db8::1", "2001:db8::1"],
      ["::ffff:1.2.3.4", "1.2.3.4"],
      ["1.2.3.4.5", PROXY],
      ["example.com", PROXY],
    ] as const
  ) expect([field, from(byList, PROXY, { "x-forwarded-for": field })]).toEqual([field, client]);
});

test("Forwarded is read by RFC 7239, and only the field that is configured counts", () => {
  for (
    const [field, client] of [
      ["for=1.2.3.4", "1.2.3.4"],
      ['for=6.6.6.6, FOR="[2001:db8::1]:4711";proto=https;by=10.0.0.1', "2001:db8::1"],
      ["proto=https; for=1.2.3.4:80", "1.2.3.4"],
      ["for=1.2.3.4, for=_hidden", PROXY],
      ["for=1.2.3.4, proto=https", PROXY],
      ["for=unknown", PROXY],
    ] as const
  ) expect([field, from(byForwarded, PROXY, { forwarded: field })]).toEqual([field, client]);
  expect(from(byForwarded, PROXY, { "x-forwarded-for": "6.6.6.6" })).toBe(PROXY);
  expect(from(byList, PROXY, { forwarded: "for=6.6.6.6" })).toBe(PROXY);
});

test("whatever a client sends before its proxy adds its address, the address is the one that the proxy added", () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 200 }),
      fc.ipV4().filter((ip) => !/^10\.|^192\.0\.2\.7$/.test(ip)),
      (sent, ip) => {
        const field = `${sent.replaceAll(/[^\x20-\x7e]/g, "")}, ${ip}`;
        expect(from(byList, PROXY, { "x-forwarded-for": field })).toBe(ip);
      },
    ),
  );
});
