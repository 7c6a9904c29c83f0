// @ts-check

/** @typedef {import("../metrics/metrics_window.js").View} View */
/** @typedef {import("../metrics/scrape.js").Where} Where */

const events = "vitrine_eventbus_events_total";

/** @type {(state: string) => Where} */
const inState = (state) => (labels) => labels["state"] === state;

/**
 * What became of the events: published = delivered + rolled up + lost, when none is on its way.
 * @param {View} view
 */
export function busOf({ now, grown, seconds }) {
  /** @param {string} state */
  const perSecond = (state) => seconds > 0 ? grown.sum(events, inState(state)) / seconds : 0;
  return {
    published: now.sum(events, inState("published")),
    delivered: now.sum(events, inState("delivered")),
    rolledUp: now.sum(events, inState("rolled_up")),
    lost: now.sum(events, inState("lost")),
    shed: now.sum("vitrine_eventbus_shed_events_total"),
    queueDepth: now.sum("lmcache_mp_event_bus_queue_depth"),
    lagSeconds: now.sum("lmcache_mp_event_bus_drain_lag_seconds"),
    exceptions: now.sum("lmcache_mp_event_bus_subscriber_exceptions_total"),
    publishedPerSecond: perSecond("published"),
    deliveredPerSecond: perSecond("delivered"),
    rolledUpPerSecond: perSecond("rolled_up"),
  };
}
