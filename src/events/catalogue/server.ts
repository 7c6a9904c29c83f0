import {
  detail,
  error,
  type EventFamily,
  key,
  keys,
  label,
  oneOf,
  requestId,
  route,
  seconds,
  size,
  sum,
  tenant,
} from "./fields.ts";
import { MISS_REASONS } from "../../core/events.ts";

/** Events of HTTP requests, their lookups and access control. */
export const requestEvents = {
  "http.request.start": {
    doc: "A request reached its route.",
    fields: {
      route,
      method: label("HTTP method; _OTHER if it is unknown."),
      requestId,
      traceParent: detail("The `traceparent` of the request, if the request is traced and sent a valid one."),
    },
  },
  "http.request.end": {
    doc: "A response was sent completely, or was cut short.",
    fields: {
      route,
      method: label("HTTP method; _OTHER if it is unknown."),
      status: label("Status code."),
      outcome: oneOf(["complete", "aborted"], "aborted: the request body or the response body was cut short."),
      seconds: seconds("Time since the start event."),
      requestBytes: sum("Body bytes received."),
      responseBytes: sum("Body bytes handed to the runtime."),
      requestId: detail(
        "If the request is traced, the `traceparent` of its response. If it is not traced and failed (5xx), the caller's `traceparent`, marked as not sampled.",
      ),
      tenant: detail("The requested tenant, if the request is traced."),
      token: detail("The id of the token that authorized the request, if tokens are configured."),
      parameter: detail("The value of the route's parameter, percent-encoded, if the request is traced."),
      error,
      headersMs: detail(
        "Milliseconds from the start to the response headers, as in Server-Timing, if the request is traced.",
      ),
    },
  },
  "http.body": {
    doc: "A non-empty body was transferred, completely or partly; published when its request ends.",
    fields: {
      direction: oneOf(["request", "response"], "Direction of the transfer."),
      route,
      method: label("HTTP method; _OTHER if it is unknown."),
      status: label("Status code."),
      bytes: size("Length of the body."),
    },
  },
  "access.refused": {
    doc: "A request was refused by access control.",
    fields: {
      reason: oneOf(
        ["missing", "unknown", "limited", "busy", "no_keys", "forbidden"],
        "missing: no credentials; unknown: unknown credentials; limited: too many unknown credentials from this address; busy: too many passwords or JWTs were being checked; no_keys: the keys of the JWT's issuer could not be loaded; forbidden: the token does not allow this request.",
      ),
      route,
      method: label("HTTP method; _OTHER if it is unknown."),
      address: detail("The client's address, according to the socket."),
      token: detail("The id of the token, if it is known."),
      requestId,
    },
  },
  "limit.reached": {
    doc: "A request was refused, or its transfer was ended, because of a limit.",
    fields: {
      limit: oneOf(
        [
          "requests",
          "tenant_requests",
          "tenant_rate",
          "upload_bytes",
          "transfer",
          "object_size",
          "metadata",
          "event_streams",
          "tenant_quota",
        ],
        "requests: requests in progress; tenant_requests: those of a tenant; tenant_rate: requests of a tenant in a second; upload_bytes: bytes of bodies that are being received; transfer: a body moved too slowly; object_size: the size of an object; metadata: the header fields kept with it; event_streams: open streams of events; tenant_quota: the strict quota of a tenant.",
      ),
      route,
      method: label("HTTP method; _OTHER if it is unknown."),
      tenant: detail("The tenant of the request."),
      token: detail("The id of the token, if tokens are configured."),
      requestId,
    },
  },
  "access.tokens.changed": {
    doc: "The token file changed.",
    fields: {
      outcome: oneOf(
        ["loaded", "failed"],
        "loaded: the new tokens are in effect; failed: the file is invalid, and the previous tokens stay in effect.",
      ),
      tokens: sum("Number of tokens in the file; 0 if it is invalid."),
      error,
    },
  },
  "tls.certificate.changed": {
    doc: "The files of the certificate changed.",
    fields: {
      outcome: oneOf(
        ["loaded", "failed"],
        "loaded: new connections get the new certificate; failed: it cannot be used, and the previous one stays in effect.",
      ),
      error,
    },
  },
  "access.keys.changed": {
    doc: "The keys with which JWTs are checked changed, or could not be loaded. Every thread loads them by itself.",
    fields: {
      outcome: oneOf(
        ["loaded", "failed"],
        "loaded: the new keys are in effect; failed: they could not be loaded, and the previous keys stay in effect.",
      ),
      keys: sum("Number of keys in the set; 0 if it could not be loaded."),
      error,
    },
  },
  "lookup.finished": {
    doc: "A GET or HEAD looked up an object. This event is the only source of hit rates, numerator and denominator.",
    fields: {
      tenant,
      tier: label('The tier that had the object: l1 or the adapter\'s name; "" if none had it.'),
      result: oneOf(
        ["hit", "miss", "error"],
        "error: a tier failed and no other tier had the object; with on_error=miss that is a miss.",
      ),
      reason: oneOf(
        ["", ...MISS_REASONS],
        'Reason for a miss or an error: how the last copy was lost; never_stored: not stored since the server started; unknown: it was stored, and the removal history no longer has the reason; tier_failed: a tier could not answer, a miss if the tier has on_error=miss; "" for hits.',
      ),
      keys,
      bytes: sum("Size of the objects that were found."),
      key,
      requestId,
    },
  },
} as const satisfies EventFamily;

const thread = oneOf(
  ["storage", "file"],
  "storage: the owner of the tiers; file: the owner of the folders of file tiers beside other tiers.",
);

/** Events of the server's threads. */
export const threadEvents = {
  "worker.started": {
    doc: "A worker is ready, at the start of the server or as a replacement.",
    fields: { slot: label("The worker's slot, from 0.") },
  },
  "worker.gone": {
    doc: "A worker's thread has ended or was abandoned.",
    fields: {
      slot: label("The worker's slot, from 0."),
      cause: oneOf(
        ["threw", "ended", "hung", "killed", "not_started", "stopped"],
        "threw: an uncaught exception; ended: it exited by itself; hung: its heartbeat stopped, or it did not become ready; killed: a drill; not_started: it ended before it was ready; stopped: it was told to stop, with the server or because it was not needed.",
      ),
    },
  },
  "worker.stuck": {
    doc:
      "The thread of a worker that hung still exists one time-out after it was told to end. The process needs a restart.",
    fields: { slot: label("The worker's slot, from 0.") },
  },
  "storage_thread.started": {
    doc: "The storage thread, or the file thread, is ready, at the start of the server or as a replacement.",
    fields: { thread },
  },
  "storage_thread.gone": {
    doc: "The storage thread, or the file thread, ended without being told to. Another one is started.",
    fields: {
      thread,
      cause: oneOf(
        ["threw", "ended", "not_started"],
        "threw: an uncaught exception; ended: it exited by itself; not_started: it ended before it was ready.",
      ),
      error,
    },
  },
  "storage_thread.stuck": {
    doc:
      "The event loop of the storage thread, or of the file thread, has been blocked for 5 s, e.g. in a call to a disk that does not respond. The thread is not ended.",
    fields: { thread },
  },
  "storage_thread.resumed": {
    doc: "That event loop is running again.",
    fields: { thread, seconds: sum("Time for which it was blocked.") },
  },
} as const satisfies EventFamily;
