import type { ObservableGauge } from "@opentelemetry/api";

/** How many operations of a tier have begun and not ended, shown by a gauge with the label l2_name. */
export class InFlight {
  readonly #byTier: Map<string, number>;

  constructor(gauge: ObservableGauge, adapters: readonly string[]) {
    this.#byTier = new Map(adapters.map((tier) => [tier, 0]));
    gauge.addCallback((result) => {
      for (const [tier, running] of this.#byTier) result.observe(Math.max(0, running), { l2_name: tier });
    });
  }

  /** Ends are negative. A group of ends may come before its beginnings. */
  add(tier: string, change: number): void {
    this.#byTier.set(tier, (this.#byTier.get(tier) ?? 0) + change);
  }
}
