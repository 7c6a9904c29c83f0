import { parsePrometheusText, type Sample } from "../../support/prometheus_text.ts";

const isCounter = /_(?:total|count|sum|bucket)$/;

function nameOf({ name, labels }: Sample): string {
  return `${name}${JSON.stringify(labels)}`;
}

/** The counters that are smaller on the later of two pages, or missing there. */
export function countersThatFell(before: string, after: string): readonly string[] {
  const later = new Map(parsePrometheusText(after).map((sample) => [nameOf(sample), sample.value]));
  const counters = parsePrometheusText(before).filter(({ name }) => isCounter.test(name));
  return counters.filter((sample) => (later.get(nameOf(sample)) ?? -1) < sample.value).map(nameOf);
}
