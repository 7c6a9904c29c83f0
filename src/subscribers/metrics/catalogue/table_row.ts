import type { EventName } from "../../../events/catalogue.ts";

/**
 * What a label may hold: fixed values, or a set that is known when the server starts ("tiers": l1 and the adapters).
 */
export type LabelValues = readonly string[] | "tiers" | "adapters";

/** All combinations of the values of each label; "adapters": one for each L2 adapter, with its name and its index. */
export type SeriesSet = Readonly<Record<string, LabelValues>> | "adapters";

/** One metric, as docs/METRICS.md and the exporters show it. */
export interface MetricRow {
  readonly kind: "counter" | "gauge" | "histogram";
  /** UCUM. */
  readonly unit: string;
  readonly help: string;
  /** The question it answers. */
  readonly answers: string;
  /** The events that feed it, or "state": read when the metrics are collected. */
  readonly from: readonly EventName[] | "state";
  readonly labels: readonly string[];
  /** The series that exist at zero from the start; default: the one without labels. */
  readonly zero?: readonly SeriesSet[];
  /** Inclusive upper bounds of the buckets. */
  readonly bounds?: readonly number[];
}
