import { parsePrometheusText, type Sample } from "../../support/prometheus_text.ts";
import { Counts } from "./counts.ts";

/** One scrape, to be asked for sums. */
export class MetricsPage {
  readonly #samples: readonly Sample[];

  constructor(text: string) {
    this.#samples = parsePrometheusText(text);
  }

  /** The sum of a metric's samples whose labels have these values. Throws if there is no such metric. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const samples = this.#named(name).filter((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
    );
    return samples.reduce((sum, { value }) => sum + value, 0);
  }

  /** The sums by the values of these labels, joined by spaces; zeros are left out. */
  by(name: string, labels: readonly string[]): Readonly<Record<string, number>> {
    const sums = new Counts();
    for (const sample of this.#named(name)) {
      sums.add(labels.map((label) => sample.labels[label] ?? "").join(" "), sample.value);
    }
    return sums.toObject();
  }

  #named(name: string): readonly Sample[] {
    const samples = this.#samples.filter((sample) => sample.name === name);
    if (samples.length === 0) throw new Error(`metrics: no such metric: ${name}`);
    return samples;
  }
}
