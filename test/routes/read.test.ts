import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { HitHeaders } from "../../routes/objects/read.ts";
import type { ObjectMeta } from "../../src/core/object.ts";

const CREATED_MS = 1_000_000;

function metaOf(ttlMs: number): ObjectMeta {
  const expiresMs = ttlMs === 0 ? 0 : CREATED_MS + ttlMs;
  return { sizeBytes: 1, crc32: 0, version: 1, createdMs: CREATED_MS, expiresMs, contentType: "", sha256: "" };
}

/** The fields that change with time, as an answer has them. */
function fieldsAt({ createdMs, expiresMs }: ObjectMeta, nowMs: number, hasToken: boolean): Record<string, string> {
  return {
    age: String(Math.max(0, Math.floor((nowMs - createdMs) / 1000))),
    "cache-status": expiresMs === 0 ? "hit" : `ttl=${Math.max(0, Math.floor((expiresMs - nowMs) / 1000))}`,
    vary: hasToken ? "Authorization" : "",
  };
}

test("HitHeaders.of gives the fields of the moment, whichever way the clock goes and whoever asks", () => {
  const step = fc.record({
    byMs: fc.oneof(fc.constantFrom(0, 0.5, 1, 999, 1000), fc.double({ min: -3000, max: 3000, noNaN: true })),
    hasToken: fc.boolean(),
  });
  const steps = fc.array(step, { maxLength: 30 });
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 1500, 2000, 60_000), steps, (ttlMs, steps) => {
      const meta = metaOf(ttlMs);
      const hitHeaders = new HitHeaders();
      let nowMs = CREATED_MS;
      for (const { byMs, hasToken } of steps) {
        nowMs += byMs;
        const make = () => fieldsAt(meta, nowMs, hasToken);
        expect(Object.fromEntries(hitHeaders.of(meta, { nowMs, hasToken, make }).headers)).toEqual(make());
      }
    }),
  );
});

test("HitHeaders.of makes the fields of an object once a second", () => {
  const meta = metaOf(0);
  const hitHeaders = new HitHeaders();
  let made = 0;
  for (let ms = 0; ms < 3000; ms += 100) {
    const make = () => {
      made++;
      return { age: "0" };
    };
    hitHeaders.of(meta, { nowMs: CREATED_MS + ms, hasToken: false, make });
  }
  expect(made).toBe(3);
});
