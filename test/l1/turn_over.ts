import type { L1 } from "../../src/l1/l1.ts";

/** What share of the arena was payload, measured after every write from the fifth turnover on. */
export interface TurnedOver {
  readonly meanEfficiency: number;
  readonly minEfficiency: number;
  readonly objects: number;
}

/**
 * Writes objects of log-uniform sizes, always the same ones, a tenth of them read, until the arena was written
 * `turnovers` times over.
 */
export function turnOver(
  l1: L1,
  options: { readonly turnovers: number; readonly minBytes: number; readonly maxBytes: number },
): TurnedOver {
  const { capacityBytes } = l1.usage();
  let state = 1;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  let written = 0;
  let sum = 0;
  let samples = 0;
  let min = 1;
  for (let i = 0; written < options.turnovers * capacityBytes; i++) {
    const sizeBytes = Math.round(options.minBytes * (options.maxBytes / options.minBytes) ** random());
    const key = { tenant: "", key: `object-${i}` };
    const [staged] = l1.reserveWrite([{ key, sizeBytes, contentType: "", sha256: "" }], "put");
    if (typeof staged !== "object") throw new Error(`write ${sizeBytes} bytes: ${staged}`);
    l1.finishWrite([{ lease: staged.lease, sizeBytes, crc32: 0, version: i, createdMs: 0, expiresMs: 0 }], "replace");
    l1.touch([{ tenant: "", key: `object-${Math.floor(i * random())}` }]);
    written += sizeBytes;
    if (written < (options.turnovers / 2) * capacityBytes) continue;
    const efficiency = l1.usage().payloadBytes / capacityBytes;
    sum += efficiency;
    samples++;
    min = Math.min(min, efficiency);
  }
  return { meanEfficiency: sum / samples, minEfficiency: min, objects: l1.usage().objects };
}
