/**
 * The conformance suite of adapters over a running server: its URL stands in VITRINE_TEST_NEAR. The long suite starts
 * it (test/e2e/near.ts).
 */
import process from "node:process";
import type { L2Adapter } from "../../../src/l2/adapter.ts";
import { openTiers, type TiersContext } from "../../../src/l2/mod.ts";
import { adapterConformance } from "../../l2/conformance.ts";
import { newBench } from "../../l2/support.ts";

const url = process.env["VITRINE_TEST_NEAR"];
if (url === undefined) throw new Error("VITRINE_TEST_NEAR: not set");

/** By the clock of the other server, what the suite lets expire is an hour away. */
const startMs = () => Date.now() + 3_600_000;
/** The tenants of the suite's objects. */
const tenants = ["", "t", "u", "a", "ab"];
let usedFolder = "";

async function open(context: TiersContext): Promise<L2Adapter> {
  const [tier] = await openTiers([`${url}`], context);
  if (tier === undefined) throw new Error("open tier: none");
  return tier;
}

adapterConformance({
  name: "http",
  persistent: true,
  hasLimit: false,
  knowsUsage: false,
  knowsTenants: false,
  startMs,
  async open(folder, bench) {
    if (folder !== usedFolder) {
      const cleaner = await open(newBench(startMs()));
      for (const tenant of tenants) await cleaner.clear(tenant);
      await cleaner.close();
    }
    usedFolder = folder;
    const { onRemoved } = bench;
    const onTierRemoved = (_tier: number, ...removed: Parameters<typeof onRemoved>) => onRemoved(...removed);
    return await open({ ...bench, onTierRemoved });
  },
});
