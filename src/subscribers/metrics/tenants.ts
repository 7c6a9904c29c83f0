import type { Attributes } from "@opentelemetry/api";
import { OTHER } from "../../events/catalogue.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { GroupCounter } from "../../telemetry/mod.ts";
import { TENANT_LABEL } from "./metric.ts";

/** A metric whose series can be merged. */
type Mergeable = Pick<GroupCounter, "fold">;

interface Candidate {
  readonly tenant: string;
  /** The number of objects, halved at times; never too low. */
  score: number;
  /** By how much the score may be too high: the score of the row when the tenant took it over. */
  error: number;
}

/** Rows of the ranking per label: a tenant with more than 1/(16 N) of the traffic is always among them. */
const CANDIDATES_PER_LABEL = 16;
/** After so many objects all scores are halved, so that the ranking follows the traffic of the recent past. */
const HALVE_AFTER = 65_536;

/**
 * Chooses the tenants with a label value of their own: the first N, and later a tenant with certainly more than twice
 * the traffic of the smallest of them, whose series are then merged into `_other`. Sums over all tenants stay exact,
 * there are at most N + 2 series (`_other`, and no label for the tenant ""), and the same events in the same order give
 * the same labels.
 * Traffic is ranked by Space-Saving (Metwally, Agrawal, El Abbadi 2005) in a table of fixed size.
 */
export class Tenants {
  /** Ranks by objects looked up and written. Must be added before the subscribers that show tenants. */
  readonly subscriber: Subscriber;
  readonly #limit: number;
  readonly #labelled = new Set<string>();
  readonly #candidates = new Map<string, Candidate>();
  readonly #metrics: Mergeable[] = [];
  #counted = 0;

  /** `limit`: number of tenants with a label value of their own. */
  constructor(limit: number) {
    this.#limit = limit;
    this.subscriber = {
      name: "metrics.tenants",
      subscriptions: {
        "lookup.finished": ({ tenant, keys }) => this.count(tenant, keys),
        "sm.write.reserved": ({ tenant, succeeded }) => this.count(tenant, succeeded),
      },
    };
  }

  /** Adds a metric whose series are merged when a tenant loses its label value. */
  add(metric: Mergeable): void {
    this.#metrics.push(metric);
  }

  /** Counts a tenant's traffic. */
  count(tenant: string, objects: number): void {
    if (tenant === "" || tenant === OTHER || this.#limit === 0 || objects === 0) return;
    const candidate = this.#candidateOf(tenant);
    candidate.score += objects;
    if (!this.#labelled.has(tenant)) this.#promote(candidate);
    this.#counted += objects;
    if (this.#counted >= HALVE_AFTER) this.#halve();
  }

  /** The labels of a tenant's series: none for "", its name if it is one of the N, otherwise `_other`. */
  labels(tenant: string): Attributes {
    if (tenant === "") return {};
    return { [TENANT_LABEL]: this.#labelled.has(tenant) ? tenant : OTHER };
  }

  /** The row of a tenant; if all are taken, that of the smallest tenant. */
  #candidateOf(tenant: string): Candidate {
    const known = this.#candidates.get(tenant);
    if (known !== undefined) return known;
    let error = 0;
    if (this.#candidates.size >= this.#limit * CANDIDATES_PER_LABEL) {
      const least = leastOf(Array.from(this.#candidates.values()).filter((row) => !this.#labelled.has(row.tenant)));
      error = least?.score ?? 0;
      if (least !== undefined) this.#candidates.delete(least.tenant);
    }
    const candidate = { tenant, score: error, error };
    this.#candidates.set(tenant, candidate);
    return candidate;
  }

  #promote(candidate: Candidate): void {
    if (this.#labelled.size >= this.#limit) {
      const least = leastOf(Array.from(this.#labelled, (tenant) => this.#candidateOf(tenant)));
      if (least === undefined || candidate.score - candidate.error <= 2 * least.score) return;
      this.#labelled.delete(least.tenant);
      for (const metric of this.#metrics) metric.fold(TENANT_LABEL, { from: least.tenant, to: OTHER });
    }
    this.#labelled.add(candidate.tenant);
  }

  #halve(): void {
    this.#counted = 0;
    for (const candidate of this.#candidates.values()) {
      candidate.score /= 2;
      candidate.error /= 2;
    }
  }
}

function leastOf(candidates: readonly Candidate[]): Candidate | undefined {
  let least: Candidate | undefined;
  for (const candidate of candidates) {
    if (least === undefined || candidate.score < least.score) least = candidate;
  }
  return least;
}
