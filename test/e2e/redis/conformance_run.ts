/**
 * The conformance suite of adapters over a running engine, whose URL stands in VITRINE_TEST_REDIS. The long suite
 * starts it (test/e2e/redis.ts).
 */
import { basename } from "node:path";
import process from "node:process";
import { openTiers } from "../../../src/l2/mod.ts";
import { adapterConformance } from "../../l2/conformance.ts";

const url = process.env["VITRINE_TEST_REDIS"];
if (url === undefined) throw new Error("VITRINE_TEST_REDIS: not set");

adapterConformance({
  name: url.replace(/:.*/, ""),
  persistent: true,
  hasLimit: false,
  async open(folder, bench) {
    const { onRemoved } = bench;
    const onTierRemoved = (_tier: number, ...removed: Parameters<typeof onRemoved>) => onRemoved(...removed);
    const [tier] = await openTiers([`${url}${url.includes("?") ? "&" : "?"}prefix=${basename(folder)}`], {
      ...bench,
      onTierRemoved,
    });
    if (tier === undefined) throw new Error("open tier: none");
    return tier;
  },
});
