import { Counts } from "./counts.ts";

/** One request with its answer, as the client saw them. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** The Cache-Status header, "" if there was none. */
  readonly cacheStatus: string;
}

/** A request that its client broke off: at most so many bytes of its bodies went over the wire. */
export interface BrokenOff {
  readonly method: string;
  readonly path: string;
  /** What the server answered, or counts if nobody was there any more. */
  readonly status: number;
  readonly requestBytesAtMost: number;
  readonly responseBytesAtMost: number;
  /** As in Exchange; of a GET only. */
  readonly cacheStatus: string;
}

/** What a client sent to one server process and got from it, in the words of /metrics. */
export class Ledger {
  /** By "method route status". */
  readonly requests = new Counts();
  /** By "method status tier result"; tier "none" if nowhere. */
  readonly lookups = new Counts();
  /** Misses by the reason that the answer gave. */
  readonly misses = new Counts();
  /** By "new", "replaced", "deleted". */
  readonly writes = new Counts();
  /** Bodies that are not empty, of finished requests, by "request|response method route status". */
  readonly bodies = new Counts();
  /** Their bytes. */
  readonly bodyBytes = new Counts();
  /** Requests that the client broke off, by "method route status". */
  readonly aborted = new Counts();
  /** The most that went over the wire for them, by "request|response method route status". */
  readonly abortedBytesAtMost = new Counts();
  requestBytes = 0;
  responseBytes = 0;
  /** Payload of the PUTs that were acknowledged. */
  writtenBytes = 0;

  /** Enters one finished exchange. */
  record(exchange: Exchange): void {
    const { method, path, status } = exchange;
    const route = routeOf(path, status);
    this.requests.add(`${method} ${route} ${status}`);
    this.requestBytes += exchange.requestBytes;
    this.responseBytes += exchange.responseBytes;
    this.#recordBody(`request ${method} ${route} ${status}`, exchange.requestBytes);
    this.#recordBody(`response ${method} ${route} ${status}`, exchange.responseBytes);
    if (route !== objectRoute) return;
    if (method === "PUT") this.#recordPut(exchange);
    if (method === "DELETE" && status === 204) this.writes.add("deleted");
    if (method === "GET" || method === "HEAD") this.#recordLookup(exchange);
  }

  /** Enters a request that was broken off on purpose. */
  recordBrokenOff(request: BrokenOff): void {
    const { method, path, status } = request;
    const label = `${method} ${routeOf(path, status)} ${status}`;
    this.requests.add(label);
    this.aborted.add(label);
    this.abortedBytesAtMost.add(`request ${label}`, request.requestBytesAtMost);
    this.abortedBytesAtMost.add(`response ${label}`, request.responseBytesAtMost);
    if (method === "GET") this.#recordLookup(request);
  }

  #recordLookup({ method, status, cacheStatus }: Pick<Exchange, "method" | "status" | "cacheStatus">): void {
    this.lookups.add(`${method} ${status} ${lookupOf(cacheStatus)}`);
    const reason = /;\s*fwd=miss;\s*detail=(?<reason>\w+)/.exec(cacheStatus)?.groups?.["reason"];
    if (reason !== undefined) this.misses.add(reason);
  }

  #recordBody(label: string, sizeBytes: number): void {
    if (sizeBytes === 0) return;
    this.bodies.add(label);
    this.bodyBytes.add(label, sizeBytes);
  }

  #recordPut({ status, requestBytes }: Exchange): void {
    if (status !== 200 && status !== 201) return;
    this.writes.add(status === 201 ? "new" : "replaced");
    this.writtenBytes += requestBytes;
  }
}

/** The template of the objects' route, as the label http_route shows it. */
export const objectRoute = "/v1/objects/{key}";

/** A method that a path does not have is counted under no path. */
function routeOf(path: string, status: number): string {
  if (status === 405) return "_other";
  const [bare = ""] = path.split("?");
  return bare.startsWith("/v1/objects/") ? objectRoute : bare;
}

/** Reads `vitrine; hit; detail=l1` or `vitrine; fwd=miss; detail=expired` (RFC 9211). */
function lookupOf(cacheStatus: string): string {
  if (/;\s*fwd=miss\b/.test(cacheStatus)) return "none miss";
  const tier = /;\s*hit\b.*;\s*detail="?(?<tier>[\w-]+)/.exec(cacheStatus)?.groups?.["tier"];
  if (tier === undefined) throw new Error(`ledger: unreadable Cache-Status: "${cacheStatus}"`);
  return `${tier} hit`;
}
