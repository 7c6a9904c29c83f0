import { afterAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import { startSingle } from "../../src/compose/single.ts";
import { loadConfig } from "../../src/config.ts";

const MIB = 1024 * 1024;
const ORIGIN = "https://page.example";
const KEYS = ["a", "b", "c", "d"];
const errors: unknown[] = [];

const loaded = loadConfig({
  args: ["--port", "0", "--l1-size", "16MiB", "--l2", "none", "--cors-origins", ORIGIN],
  env: {},
  readFile: () => undefined,
  memoryLimitBytes: 1024 * MIB,
  cpuCount: 1,
  version: "0.0.0-test",
});
if (!("config" in loaded)) throw new Error("no settings");
const server = await startSingle({
  config: loaded.config,
  version: "0.0.0-test",
  env: {},
  reportError: (error) => errors.push(error),
});

afterAll(async () => {
  await server.stop();
  expect(errors).toEqual([]);
});

const call = (key: string, init?: RequestInit) =>
  fetch(`http://127.0.0.1:${server.address.port}/v1/objects/${key}`, init);

/** The answer to one GET, without the fields that change with time. The body is a Buffer, to be compared quickly. */
async function get(key: string, headers: Record<string, string> = {}) {
  const response = await call(key, { headers });
  const fields = Object.fromEntries(response.headers);
  for (const name of ["age", "date"]) Reflect.deleteProperty(fields, name);
  return { status: response.status, fields, body: Buffer.from(await response.arrayBuffer()) };
}

test("GET answers with the newest object and its own fields, however often the one before was hit", async () => {
  const step = fc.record({
    key: fc.constantFrom(...KEYS),
    // Empty, one page, more than one extent, and the largest that is kept on one runtime and on the other.
    sizeBytes: fc.constantFrom(0, 1, 4096, 20_000, 32 * 1024, 64 * 1024),
    action: fc.constantFrom("put", "put", "delete", "replace alike", "nothing"),
  });
  let version = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const model = new Map<string, Uint8Array<ArrayBuffer>>();
      for (const key of KEYS) await (await call(key, { method: "DELETE" })).arrayBuffer();
      for (const { key, sizeBytes, action } of steps) {
        if (action === "delete") {
          await (await call(key, { method: "DELETE" })).arrayBuffer();
          model.delete(key);
        } else if (action !== "nothing") {
          const sameSize = action === "replace alike" ? model.get(key)?.length : undefined;
          const body = new Uint8Array(sameSize ?? sizeBytes).fill(++version);
          await (await call(key, { method: "PUT", body })).arrayBuffer();
          model.set(key, body);
        }
        const expected = model.get(key);
        const all = await Promise.all([1, 2, 3, 4].map(() => get(key)));
        const page = await get(key, { origin: ORIGIN });
        const part = await get(key, { range: "bytes=0-0" });
        all.push(await get(key));
        const [first] = all;
        for (const each of all) {
          expect(each.status).toBe(expected === undefined ? 404 : 200);
          if (expected !== undefined) {
            expect([each.fields, each.body.equals(expected)]).toEqual([first?.fields ?? {}, true]);
          }
        }
        if (expected === undefined) continue;
        expect(first?.fields["content-length"]).toBe(String(expected.length));
        expect([page.fields["access-control-allow-origin"], page.body.equals(expected)]).toEqual([ORIGIN, true]);
        if (expected.length > 0) expect([part.status, part.body.equals(expected.subarray(0, 1))]).toEqual([206, true]);
      }
    }),
    { numRuns: 25 },
  );
});
