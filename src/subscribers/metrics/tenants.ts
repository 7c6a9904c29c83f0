import type { Attributes } from "@opentelemetry/api";
import { OTHER } from "../../events/catalogue.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { GroupCounter } from "../../telemetry/mod.ts";
import { TENANT_LABEL } from "./metric.ts";

/** A metric whose series can be folded into one another. */
type Foldable = Pick<GroupCounter, "fold">;

interface Candidate {
  readonly tenant: string;
  /** Objects counted, halved now and then; never too low. */
  score: number;
  /** By how much the score may be too high: what the row held when the tenant took it over. */
  error: number;
}

/** Rows of the ranking per label: a tenant with more than 1/(16 N) of the traffic is always among them. */
const CANDIDATES_PER_LABEL = 16;
/** After so many objects all scores are halved, so that the ranking follows the traffic of the recent past. */
const HALVE_AFTER = 65_536;

/**
 * Which tenants have a label of their own: the first N, and then whoever has more traffic for certain than twice the
 * least of them, whose series are folded into `_other`. So sums over all tenants stay exact, there are never more than
 * N + 2 series (`_other`, and no label for the tenant ""), and the same events in the same order give the same labels.
 * Traffic is ranked by Space-Saving (Metwally, Agrawal, El Abbadi 2005) in a table of fixed size.
 */
export class Tenants {
  /** Ranks by the objects looked up and written. To be subscribed before all who show tenants. */
  readonly subscriber: Subscriber;
  readonly #limit: number;
  readonly #labelled = new Set<string>();
  readonly #candidates = new Map<string, Candidate>();
  readonly #metrics: Foldable[] = [];
  #counted = 0;

  /** `limit`: how many tenants have a label of their own. */
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

  /** A metric with the tenants' label, to be folded when a tenant loses its own. */
  add(metric: Foldable): void {
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

  /** The labels of a tenant's series: none for "", its own name if it is among the first, else `_other`. */
  labels(tenant: string): Attributes {
    if (tenant === "") return {};
    return { [TENANT_LABEL]: this.#labelled.has(tenant) ? tenant : OTHER };
  }

  /** The row of a tenant; if all are taken, the least one's. */
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
