import type { ObservableGauge } from "@opentelemetry/api";
import { adapterLabels } from "./instruments.ts";

/** What has begun and not ended at each tier: operations, or their bytes. */
export class InFlight {
  readonly #adapters: readonly string[];
  readonly #byTier: Map<string, number>;

  /** `adapters`: the names of the tiers, in the order they are asked. */
  constructor(adapters: readonly string[]) {
    this.#adapters = adapters;
    this.#byTier = new Map(adapters.map((tier) => [tier, 0]));
  }

  /** Ends are negative. A group of ends may come before its beginnings. */
  add(tier: string, change: number): void {
    this.#byTier.set(tier, (this.#byTier.get(tier) ?? 0) + change);
  }

  /** Shows each tier's own. */
  showByTier(gauge: ObservableGauge): void {
    gauge.addCallback((result) => {
      for (const [index, tier] of this.#adapters.entries()) {
        result.observe(Math.max(0, this.#byTier.get(tier) ?? 0), adapterLabels(tier, index));
      }
    });
  }

  /** Shows the sum over all tiers. */
  showSum(gauge: ObservableGauge): void {
    gauge.addCallback((result) => {
      let sum = 0;
      for (const running of this.#byTier.values()) sum += Math.max(0, running);
      result.observe(sum);
    });
  }
}
