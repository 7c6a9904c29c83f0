// @ts-check
import { quantile } from "../metrics/quantile.js";

/** @typedef {import("../metrics/metrics_window.js").View} View */
/** @typedef {import("../metrics/scrape.js").Where} Where */

/** Routes that this page asks for itself. */
const ofThePage = new Set(["/v1/events", "/v1/access"]);

/**
 * Requests of clients. The page's own would be shown as traffic otherwise, and a stream of events as a slow answer.
 * @type {Where}
 */
const ofClients = ({ http_route: route = "" }) => route.startsWith("/v1/") && !ofThePage.has(route);

/** @type {Where} */
const isHit = ({ result }) => result === "hit";

const duration = "http_server_request_duration_seconds";
const received = "http_server_request_body_size_bytes_sum";
const sent = "http_server_response_body_size_bytes_sum";
const lookups = "vitrine_lookups_total";

/**
 * @param {number} part
 * @param {number} whole
 */
const share = (part, whole) => whole > 0 ? part / whole : undefined;

/**
 * What clients ask and get. Shares and quantiles are undefined where nothing happened.
 * @param {View} view
 */
export function trafficOf({ now, grown, seconds }) {
  /** @param {number} amount */
  const perSecond = (amount) => seconds > 0 ? amount / seconds : 0;
  const buckets = grown.samples(`${duration}_bucket`, ofClients);
  const lookedUp = grown.sum(lookups);
  /** @type {Map<string, number>} */
  const requestsByClass = new Map(["2xx", "3xx", "4xx", "5xx"].map((name) => [name, 0]));
  for (const [status, count] of grown.by(`${duration}_count`, "http_response_status_code", ofClients)) {
    const name = `${status[0]}xx`;
    requestsByClass.set(name, (requestsByClass.get(name) ?? 0) + perSecond(count));
  }
  return {
    hitRate: share(grown.sum(lookups, isHit), lookedUp),
    /** By the tier that had the object. */
    hitRates: new Map(Array.from(now.by(lookups, "tier", isHit).keys(), (tier) => {
      return [tier, share(grown.sum(lookups, (labels) => isHit(labels) && labels["tier"] === tier), lookedUp)];
    })),
    hits: now.sum(lookups, isHit),
    lookups: now.sum(lookups),
    requestsPerSecond: perSecond(grown.sum(`${duration}_count`, ofClients)),
    requestsByClass,
    requests: now.sum(`${duration}_count`, ofClients),
    inPerSecond: perSecond(grown.sum(received, ofClients)),
    outPerSecond: perSecond(grown.sum(sent, ofClients)),
    bytesIn: now.sum(received, ofClients),
    bytesOut: now.sum(sent, ofClients),
    p50: quantile(0.5, buckets),
    p90: quantile(0.9, buckets),
    p99: quantile(0.99, buckets),
  };
}
