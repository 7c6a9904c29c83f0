import { expect, test } from "bun:test";
import { ClusterStorage } from "../../../src/compose/cluster/cluster_storage.ts";
import { makeL1 } from "../../l1/support.ts";

const answer = (tier: object, inFlight: number) =>
  JSON.stringify({ l2: [tier], storeQueue: { entries: 9, bytes: 9, inFlight, oldestAgeSeconds: 9 }, loadsInFlight: 1 });

/** Two ready workers and one that starts, of which each answers as it is told to; 2 objects of 11 bytes wait in L1. */
function storageOf(answers: Readonly<Record<string, string | undefined>>) {
  const asked: string[] = [];
  const storage = new ClusterStorage({
    hub: {
      request(producer) {
        asked.push(producer);
        const text = answers[producer];
        return text === undefined ? Promise.reject(new Error("no answer in time")) : Promise.resolve(text);
      },
    },
    supervisor: {
      status: () =>
        (["ready", "stopping", "starting"] as const).map((state, place) => ({
          place,
          holder: place + 2,
          state,
          activeRequests: 0,
        })),
    },
    l1: {
      usage: () => makeL1().l1.usage(),
      unsaved: () => ({ objects: 2, bytes: 11, oldestAgeSeconds: 6.5 }),
    },
    ghosts: { forgotten: 4 },
  });
  return { storage, asked };
}

const waiting = { entries: 2, bytes: 11, oldestAgeSeconds: 6.5 };

test("ClusterStorage.status has what waits for its store from L1, and adds up what the workers do, when all answer", async () => {
  const { storage, asked } = storageOf({ "0.2": answer({ tier: "fs", objects: 3 }, 1), "1.3": answer({}, 2) });
  const status = await storage.status();
  expect([status.l2, status.storeQueue, status.loadsInFlight, status.ghostsForgotten]).toEqual([
    [{ tier: "fs", objects: 3 }],
    { ...waiting, inFlight: 3 },
    2,
    4,
  ]);
  expect(asked).toEqual(["0.2", "1.3"]);
});

test("ClusterStorage.status has all that waits for its store when a worker, or none, answers", async () => {
  const some = storageOf({ "1.3": answer({ tier: "fs" }, 2) });
  expect((await some.storage.status()).storeQueue).toEqual({ ...waiting, inFlight: 2 });
  const none = storageOf({});
  expect((await none.storage.status()).storeQueue).toEqual({ ...waiting, inFlight: 0 });
});
