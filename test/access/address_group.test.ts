import { expect, test } from "bun:test";
import { addressGroup } from "../../src/access/address_group.ts";

test("addressGroup is the address of IPv4, also where it is written as IPv6", () => {
  expect(["10.0.0.7", "::ffff:10.0.0.7", "::FFFF:10.0.0.7"].map(addressGroup)).toEqual(Array(3).fill("10.0.0.7"));
});

test("addressGroup is the /64 of IPv6, however it is written", () => {
  const same = [
    "2001:db8::1",
    "2001:0db8:0:0::2",
    "2001:db8:0:0:ffff:ffff:ffff:ffff",
    "2001:DB8::",
    "2001:db8::1%eth0",
  ];
  expect(new Set(same.map(addressGroup))).toEqual(new Set(["2001:db8:0:0::/64"]));
  expect(addressGroup("2001:db8:0:1::1")).toBe("2001:db8:0:1::/64");
  expect(addressGroup("::1")).toBe("0:0:0:0::/64");
  expect(addressGroup("")).toBe("");
});
