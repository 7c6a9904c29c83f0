/**
 * The conformance suite of adapters over a running engine, whose URL stands in VITRINE_TEST_REDIS. The long suite
 * starts it (test/e2e/redis.ts).
 */
import { basename } from "node:path";
import process from "node:process";
import { openTiers } from "../../../src/l2/mod.ts";
import { adapterConformance } from "../../l2/conformance.ts";
import { keyFile, keyLines } from "../../l2/encoding/support.ts";

const url = process.env["VITRINE_TEST_REDIS"];
if (url === undefined) throw new Error("VITRINE_TEST_REDIS: not set");

for (const isEncoded of [false, true]) {
  adapterConformance({
    name: `${url.replace(/:.*/, "")}${isEncoded ? ", compress and encrypt" : ""}`,
    persistent: true,
    hasLimit: false,
    storedBytes: (sizeBytes) => isEncoded ? sizeBytes + 24 : sizeBytes,
    async open(folder, bench) {
      const { onRemoved } = bench;
      const onTierRemoved = (_tier: number, ...removed: Parameters<typeof onRemoved>) => onRemoved(...removed);
      const encoding = `&compress=zstd&encrypt=aes-gcm&key-file=${keyFile(folder, keyLines.hex)}`;
      const place = `${url.includes("?") ? "&" : "?"}prefix=${basename(folder)}`;
      const [tier] = await openTiers([`${url}${place}${isEncoded ? encoding : ""}`], { ...bench, onTierRemoved });
      if (tier === undefined) throw new Error("open tier: none");
      return tier;
    },
  });
}
