import { expect, test } from "bun:test";
import fc from "fast-check";
import { Limits, type LimitSettings, LimitTable, MAX_COUNT, MAX_TENANTS, type Visit } from "../../src/access/limits.ts";
import { VitrineError } from "../../src/core/errors.ts";

const KIB = 1024;
const OFF: LimitSettings = { maxRequests: 0, maxTenantRequests: 0, tenantRate: 0, maxUploadBytes: 0 };

/** The limits of several threads over one table, and their clock. */
function threads(count: number, settings: Partial<LimitSettings>) {
  const clock = { ms: 0, monotonicMs: () => clock.ms };
  const memory = LimitTable.allocate(count, 7);
  const open = (place: number) => new Limits({ ...OFF, ...settings }, new LimitTable(memory, place), clock);
  return { clock, memory, open, each: Array.from({ length: count }, (_, place) => open(place)) };
}

/** The visit, or the code of the refusal. */
function enter(limits: Limits | undefined, tenant = "", bytes = 0): Visit | string {
  try {
    return limits?.enter(tenant, bytes) ?? "no limits";
  } catch (error) {
    if (error instanceof VitrineError) return error.code;
    throw error;
  }
}

function leave(visit: Visit | string): void {
  if (typeof visit === "string") throw new Error(`leave: refused: ${visit}`);
  visit.leave();
}

const isRefused = (code: string) => (visit: Visit | string) => visit === code;

test("Limits.enter admits as many requests over all threads as the limit, and another when one has left", () => {
  const { each: [a, b] } = threads(2, { maxRequests: 3 });
  const visits = [enter(a), enter(a), enter(b)];
  expect([enter(a), enter(b)]).toEqual(["overloaded", "overloaded"]);
  leave(visits[0] ?? "");
  expect([isRefused("overloaded")(enter(b)), enter(a)]).toEqual([false, "overloaded"]);
});

test("Limits.enter admits as many requests of a tenant as the limit, whatever the others do", () => {
  const { each: [a, b] } = threads(2, { maxTenantRequests: 2 });
  const mine = [enter(a, "t"), enter(b, "t")];
  expect([enter(a, "t"), enter(b, "t")]).toEqual(["too_many_requests", "too_many_requests"]);
  leave(enter(a, "other"));
  mine.forEach(leave);
  leave(enter(b, "t"));
});

test("Limits.enter admits as many requests of a tenant in a second as the limit, over all threads", () => {
  const { clock, each: [a, b] } = threads(2, { tenantRate: 3 });
  for (const limits of [a, b, a]) leave(enter(limits, "t"));
  expect([enter(b, "t"), enter(a, "t")]).toEqual(["rate_limited", "rate_limited"]);
  leave(enter(b, "other"));
  clock.ms = 999;
  expect(enter(a, "t")).toBe("rate_limited");
  clock.ms = 1000;
  leave(enter(b, "t"));
});

test("LimitTable.addToWindow counts up to its largest limit", () => {
  const table = new LimitTable(LimitTable.allocate(1, 1), 0);
  const before = { window: 5, limit: MAX_COUNT };
  for (let i = 0; i < MAX_COUNT; i++) table.addToWindow(0, before);
  expect([table.addToWindow(0, before), table.addToWindow(0, { window: 6, limit: 1 })]).toEqual([false, true]);
});

test("Limits.enter counts the lengths of bodies, and those that tell none as they arrive", () => {
  const { each: [a, b] } = threads(2, { maxUploadBytes: 8 * KIB });
  const whole = enter(a, "", 8 * KIB);
  expect([enter(b, "", 1), isRefused("too_many_bytes")(enter(b, "", 0))]).toEqual(["too_many_bytes", false]);
  leave(whole);
  const growing = enter(b);
  leave(enter(a, "", 8 * KIB));
  if (typeof growing === "string") throw new Error(growing);
  for (let i = 0; i < 4; i++) growing.received(KIB);
  expect(enter(a, "", 4 * KIB + 1)).toBe("too_many_bytes");
  const rest = enter(a, "", 4 * KIB);
  expect(() => growing.received(1)).toThrow("the server takes no more");
  leave(rest);
  growing.received(1);
  growing.leave();
  leave(enter(b, "", 8 * KIB));
});

test("Limits.enter leaves a body that is larger than all may be to those who refuse it for that", () => {
  const { each: [a] } = threads(1, { maxUploadBytes: 8 * KIB });
  for (const bytes of [8 * KIB + 1, 1e15, NaN, -5]) leave(enter(a, "", bytes));
  leave(enter(a, "", 8 * KIB));
});

test("the requests of a thread that died are forgotten, whether by main or by the thread that takes its place", () => {
  const { memory, open, each: [a, b] } = threads(2, { maxRequests: 2, maxTenantRequests: 2 });
  enter(a, "t");
  enter(a, "t");
  expect(enter(b, "t")).toBe("too_many_requests");
  LimitTable.forget(memory, 0);
  const mine = [enter(b, "t"), enter(b, "t")];
  expect(enter(a, "t")).toBe("too_many_requests");
  open(1);
  expect(isRefused("too_many_requests")(enter(a, "t"))).toBe(false);
  expect(mine.length).toBe(2);
});

test("tenants beyond the table's share one slot, and those within keep theirs", () => {
  const memory = LimitTable.allocate(1, 3);
  const table = new LimitTable(memory, 0);
  const slots = Array.from({ length: MAX_TENANTS }, (_, i) => table.slotOf(`tenant ${i}`));
  expect(new Set(slots).size).toBe(MAX_TENANTS);
  expect([table.slotOf("one more"), table.slotOf("and another")]).toEqual([MAX_TENANTS, MAX_TENANTS]);
  expect(new LimitTable(memory, 0).slotOf("tenant 17")).toBe(slots[17] ?? -1);
});

test("whatever comes and goes in whichever thread, no more is admitted than a model of the limits admits, and no less", () => {
  const settings = { maxRequests: 5, maxTenantRequests: 3, tenantRate: 4, maxUploadBytes: 16 * KIB };
  const step = fc.record({
    thread: fc.nat(2),
    tenant: fc.constantFrom("", "a", "b"),
    kib: fc.nat(8),
    leaves: fc.option(fc.nat(4)),
    ms: fc.constantFrom(0, 0, 0, 400, 1000),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { clock, each } = threads(3, settings);
    const inside: { readonly visit: Visit; readonly tenant: string; readonly kib: number }[] = [];
    let begun: { readonly tenant: string; readonly second: number }[] = [];
    for (const { thread, tenant, kib, leaves, ms } of steps) {
      clock.ms += ms;
      if (leaves !== null) {
        inside.splice(leaves, 1).forEach(({ visit }) => visit.leave());
        continue;
      }
      const second = Math.floor(clock.ms / 1000);
      begun = begun.filter((each) => each.second === second);
      const uploads = inside.reduce((sum, each) => sum + each.kib, 0);
      const expected = begun.filter((each) => each.tenant === tenant).length >= settings.tenantRate
        ? "rate_limited"
        : inside.filter((each) => each.tenant === tenant).length >= settings.maxTenantRequests
        ? "too_many_requests"
        : inside.length >= settings.maxRequests
        ? "overloaded"
        : kib > 0 && uploads + kib > 16
        ? "too_many_bytes"
        : "admitted";
      if (expected !== "rate_limited") begun.push({ tenant, second });
      const visit = enter(each[thread], tenant, kib * KIB);
      expect(typeof visit === "string" ? visit : "admitted").toBe(expected);
      if (typeof visit !== "string") inside.push({ visit, tenant, kib });
    }
  }));
});
