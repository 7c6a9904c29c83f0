import { expect, test } from "bun:test";
import { composeTiers } from "../../src/compose/tiers.ts";
import { noPublish } from "../../src/events/producer.ts";
import { EncodingAdapter } from "../../src/l2/encoding/adapter.ts";
import { TimeoutAdapter } from "../../src/l2/timeout.ts";

const options = {
  publish: noPublish,
  clock: { nowMs: () => 0, monotonicMs: () => 0 },
  onTierRemoved: () => {},
  serverId: "here",
};
const l2 = ["memory://?name=one", "memory://?name=two&on_error=miss&store=off"];

for (const [l2TimeoutMs, Expected] of [[30_000, TimeoutAdapter], [0, EncodingAdapter]] as const) {
  test(`composeTiers makes ${Expected.name}s in the order of the URLs when the time-out is ${l2TimeoutMs} ms`, async () => {
    const tiers = await composeTiers({ l2, l2TimeoutMs }, options);
    expect(tiers.map(({ name }) => name)).toEqual(["one", "two"]);
    expect(tiers.map(({ missesOnError }) => missesOnError)).toEqual([false, true]);
    expect(tiers.map(({ takesStores }) => takesStores)).toEqual([true, false]);
    for (const tier of tiers) expect(tier).toBeInstanceOf(Expected);
    for (const tier of tiers) await tier.close();
  });
}
