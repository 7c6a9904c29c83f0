import { expect, test } from "bun:test";
import fc from "fast-check";
import type { LiveItem, LiveListener } from "../../../src/events/live/live_listener.ts";
import { FakeBus, SMALL } from "./fake_bus.ts";

const TYPES = ["l1.read.finished", "l1.write.finished"] as const;
const TENANTS = ["", "a"] as const;

type Step =
  | { readonly kind: "publish"; readonly type: typeof TYPES[number]; readonly tenant: string; readonly count: number }
  | { readonly kind: "take"; readonly who: number; readonly most: number }
  | { readonly kind: "leave" | "back"; readonly who: number }
  | { readonly kind: "pass"; readonly elapsedMs: number };

const who = fc.nat(SMALL.listeners - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      type: fc.constantFrom(...TYPES),
      tenant: fc.constantFrom(...TENANTS),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("take" as const), who, most: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), who }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("back" as const), who }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), elapsedMs: fc.constantFrom(1, SMALL.lingerMs) }),
  },
);
const wanted = fc.record({
  types: fc.subarray([...TYPES], { minLength: 1 }),
  tenant: fc.constantFrom(undefined, ...TENANTS),
});

/** Someone who listens, with pauses, and keeps account of what came. */
class Client {
  readonly #bus: FakeBus;
  readonly #wanted: { readonly types: readonly (typeof TYPES[number])[]; readonly tenant: string | undefined };
  #listener: LiveListener | undefined;
  #last = 0;
  #taken = 0;
  readonly places: number[] = [];
  published = 0;
  accounted = 0;
  isSure = true;

  constructor(bus: FakeBus, wanted: Client["wanted"]) {
    this.#bus = bus;
    this.#wanted = wanted;
    this.#listener = bus.feed.listen({ ...wanted, lastEventId: undefined });
  }

  get wanted() {
    return this.#wanted;
  }

  onPublish({ type, tenant, count }: Extract<Step, { kind: "publish" }>): void {
    const { wanted } = this;
    if (wanted.types.includes(type) && (wanted.tenant ?? tenant) === tenant) this.published += count;
  }

  take(most: number): void {
    for (const item of this.#listener?.take(most) ?? []) this.#account(item);
  }

  takeAll(): void {
    for (let before = -1; before !== this.#taken;) {
      before = this.#taken;
      this.take(100);
    }
  }

  leave(): void {
    this.#listener?.leave();
    this.#listener = undefined;
  }

  back(): void {
    this.#listener ??= this.#bus.feed.listen({ ...this.#wanted, lastEventId: `n-${this.#last}` });
  }

  #account(item: LiveItem): void {
    this.#taken++;
    expect(item.sequence).toBeGreaterThanOrEqual(this.#last);
    this.#last = item.sequence;
    if ("lost" in item) {
      if (item.lost === undefined) this.isSure = false;
      this.accounted += item.lost ?? 0;
    } else {
      this.accounted += item.event.count;
      this.places.push(item.sequence);
    }
  }
}

test("what a client receives and what it is told as lost is what was published, each event once, whatever listeners and time do", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(...Array.from({ length: SMALL.listeners }, () => wanted)),
      fc.array(step, { maxLength: 120 }),
      async (wants, steps) => {
        const bus = new FakeBus();
        const clients = wants.map((each) => new Client(bus, each));
        for (const step of steps) {
          if (step.kind === "publish") {
            bus.publish(step.type, step);
            for (const client of clients) client.onPublish(step);
          } else if (step.kind === "pass") await bus.time.advance(step.elapsedMs);
          else if (step.kind === "take") clients[step.who]?.take(step.most);
          else if (step.kind === "leave") clients[step.who]?.leave();
          else clients[step.who]?.back();
        }
        for (const client of clients) {
          client.back();
          client.takeAll();
          expect(new Set(client.places).size).toBe(client.places.length);
          if (client.isSure) expect(client.accounted).toBe(client.published);
          else expect(client.accounted).toBeLessThanOrEqual(client.published);
        }
      },
    ),
    { numRuns: Number(process.env["LIVE_FEED_RUNS"] ?? 500) },
  );
});
