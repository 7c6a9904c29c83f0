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
        ["missing", "unknown", "limited", "busy", "forbidden"],
        "missing: no credentials; unknown: unknown credentials; limited: too many unknown credentials from this address; busy: too many passwords were being checked; forbidden: the token does not allow this request.",
      ),
      route,
      method: label("HTTP method; _OTHER if it is unknown."),
      address: detail("The client's address, according to the socket."),
      token: detail("The id of the token, if it is known."),
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
  "lookup.finished": {
    doc: "A GET or HEAD looked up an object. This event is the only source of hit rates, numerator and denominator.",
    fields: {
      tenant,
      tier: label('The tier that had the object: l1 or the adapter\'s name; "" if none had it.'),
      result: oneOf(["hit", "miss", "error"], "error: a tier failed and no other tier had the object."),
      reason: oneOf(
        ["", ...MISS_REASONS, "tier_failed"],
        'Reason for a miss or an error: how the last copy was lost; never_stored: not stored since the server started; unknown: it was stored, and the removal history no longer has the reason; "" for hits.',
      ),
      keys,
      bytes: sum("Size of the objects that were found."),
      key,
      requestId,
    },
  },
} as const satisfies EventFamily;

/** Events of the server's threads. */
export const threadEvents = {
  "worker.started": {
    doc: "A worker is ready, at the start of the server or as a replacement.",
    fields: { place: label("The worker's slot, from 0.") },
  },
  "worker.gone": {
    doc: "A worker's thread has ended or was abandoned.",
    fields: {
      place: label("The worker's slot, from 0."),
      cause: oneOf(
        ["threw", "ended", "hung", "killed", "not_started", "stopped"],
        "threw: an uncaught exception; ended: it exited by itself; hung: its heartbeat stopped, or it did not become ready; killed: a drill; not_started: it ended before it was ready; stopped: it was told to stop, with the server or because it was not needed.",
      ),
    },
  },
  "worker.stuck": {
    doc:
      "The thread of a worker that hung still exists one time-out after it was told to end. The process needs a restart.",
    fields: { place: label("The worker's slot, from 0.") },
  },
  "storage_thread.started": {
    doc: "The storage thread has opened the folders of the file tiers, at the start of the server or as a replacement.",
    fields: {},
  },
  "storage_thread.gone": {
    doc: "The storage thread ended without being told to. Another one is started.",
    fields: {
      cause: oneOf(
        ["threw", "ended", "not_started"],
        "threw: an uncaught exception; ended: it exited by itself; not_started: it ended before it had opened the folders.",
      ),
      error,
    },
  },
  "storage_thread.stuck": {
    doc:
      "The storage thread's event loop has been blocked for 5 s, e.g. in a call to a disk that does not respond. The thread is not ended.",
    fields: {},
  },
  "storage_thread.resumed": {
    doc: "The storage thread's event loop is running again.",
    fields: { seconds: sum("Time for which it was blocked.") },
  },
} as const satisfies EventFamily;
