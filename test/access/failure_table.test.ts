import { expect, test } from "bun:test";
import { addressGroup, FailureTable, MAX_FAILURES, WINDOW_MS } from "../../src/access/failure_table.ts";

function tables() {
  const clock = { ms: 10 * WINDOW_MS, monotonicMs: () => clock.ms };
  const memory = FailureTable.allocate(12345);
  return { clock, one: new FailureTable(memory, clock), other: new FailureTable(memory, clock) };
}

test("FailureTable limits only the address that has failed too often in all threads together", () => {
  const { one, other } = tables();
  for (let i = 0; i < MAX_FAILURES; i++) {
    expect([one.isOver("10.0.0.1"), (i % 2 === 0 ? one : other).add("10.0.0.1")]).toEqual([false, false]);
  }
  expect([one.isOver("10.0.0.1"), other.isOver("10.0.0.1"), one.add("10.0.0.1")]).toEqual([true, true, true]);
  expect(one.isOver("10.0.0.2")).toBe(false);
});

test("FailureTable starts anew with each window, and knows when the next one begins", () => {
  const { clock, one } = tables();
  for (let i = 0; i < MAX_FAILURES; i++) one.add("a");
  clock.ms += WINDOW_MS - 1;
  expect([one.isOver("a"), one.secondsLeft()]).toEqual([true, 1]);
  clock.ms += 1;
  expect([one.isOver("a"), one.secondsLeft(), one.add("a")]).toEqual([false, 60, false]);
});

test("FailureTable confuses few addresses when very many fail, and its counts saturate", () => {
  const { one } = tables();
  for (let i = 0; i < MAX_FAILURES; i++) for (let host = 0; host < 200; host++) one.add(`10.0.0.${host}`);
  const wrong = Array.from({ length: 1000 }, (_, host) => `10.1.${host >> 8}.${host & 255}`).filter((each) =>
    one.isOver(each)
  );
  expect(wrong.length).toBeLessThan(20);
  for (let i = 0; i < 70_000; i++) one.add("busy");
  expect(one.isOver("busy")).toBe(true);
});

test("addressGroup is the address itself for IPv4, even in IPv6 notation", () => {
  expect(["10.0.0.7", "::ffff:10.0.0.7", "::FFFF:10.0.0.7"].map(addressGroup)).toEqual(Array(3).fill("10.0.0.7"));
});

test("addressGroup is the /64 for IPv6, however it is written", () => {
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
