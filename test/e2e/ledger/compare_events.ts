import type { Checks } from "../support/checks.ts";
import type { MetricsPage } from "../support/metrics_page.ts";

/** Events of one type by what became of them. */
export interface EventSums {
  readonly published: number;
  readonly delivered: number;
  readonly rolledUp: number;
  readonly lost: number;
}

/** What a page says of one type of events. */
export function eventSums(page: MetricsPage, event: string): EventSums {
  const sum = (state: string) => page.sum("vitrine_eventbus_events_total", { event, state });
  return { published: sum("published"), delivered: sum("delivered"), rolledUp: sum("rolled_up"), lost: sum("lost") };
}

/** By type: published = delivered + rolled up + lost. */
export function compareEvents(page: MetricsPage, checks: Checks): void {
  for (const event of Object.keys(page.by("vitrine_eventbus_events_total", ["event"]))) {
    const { published, delivered, rolledUp, lost } = eventSums(page, event);
    checks.equal(`${event}: published = delivered + rolled up + lost`, {
      actual: delivered + rolledUp + lost,
      expected: published,
    });
  }
}
