import { expect, test } from "bun:test";
import { shareRuns } from "../../src/core/coalesce.ts";

/** A shared function whose runs end when the test ends them. */
function fixture() {
  const calls: PromiseWithResolvers<string>[] = [];
  const shared = shareRuns(() => {
    const call = Promise.withResolvers<string>();
    calls.push(call);
    return call.promise;
  });
  return { calls, shared };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("shareRuns serves all calls made during a run with one more run, started after them", async () => {
  const { calls, shared } = fixture();
  const first = shared();
  const others = [shared(), shared(), shared()];
  expect(calls.length).toBe(1);
  calls[0]?.resolve("first");
  expect(await first).toBe("first");
  await settled();
  expect(calls.length).toBe(2);
  const late = shared();
  calls[1]?.resolve("second");
  expect(await Promise.all(others)).toEqual(["second", "second", "second"]);
  await settled();
  expect(calls.length).toBe(3);
  calls[2]?.resolve("third");
  expect(await late).toBe("third");
});

test("shareRuns starts a new run when none is in progress, and after one that failed", async () => {
  const { calls, shared } = fixture();
  const failing = shared();
  const after = shared();
  calls[0]?.reject(new Error("failed on purpose"));
  await expect(failing).rejects.toThrow("failed on purpose");
  await settled();
  calls[1]?.resolve("well");
  expect(await after).toBe("well");
  await settled();
  void shared();
  expect(calls.length).toBe(3);
});
