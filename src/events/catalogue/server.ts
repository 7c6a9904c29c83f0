import { MISS_REASONS } from "../../core/miss_reason.ts";
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
/** Events of HTTP requests and of the lookups that decide them. */
export const requestEvents = {
  "http.request.start": {
    doc: "A request reached its route.",
    fields: {
      route,
      method: label("Known HTTP method, else _OTHER."),
      requestId,
      traceParent: detail("The `traceparent` that came with it, if it is followed and had a valid one."),
    },
  },
  "http.request.end": {
    doc: "A response has left completely, or broke off.",
    fields: {
      route,
      method: label("Known HTTP method, else _OTHER."),
      status: label("Status code in digits."),
      outcome: oneOf(["complete", "aborted"], "aborted: the body broke off on either side."),
      seconds: seconds("From the start event to here."),
      requestBytes: sum("Body bytes received."),
      responseBytes: sum("Body bytes handed to the runtime."),
      requestId: detail(
        "The `traceparent` of its response, if it is followed; of its caller, marked as not sampled, if it is not and failed (5xx).",
      ),
      tenant: detail("The tenant it asked for, if it is followed."),
      token: detail("The id of the token it was let in with, where tokens are configured."),
      parameter: detail("What stood for the route's parameter, percent-encoded, if it is followed."),
      error,
      headersMs: detail("Milliseconds from its start to its headers, as in Server-Timing, if it is followed."),
    },
  },
  "http.body": {
    doc: "A body that is not empty went over the wire, whole or in part; published with the end of its request.",
    fields: {
      direction: oneOf(["request", "response"], "Which way."),
      route,
      method: label("Known HTTP method, else _OTHER."),
      status: label("Status code in digits."),
      bytes: size("Its length."),
    },
  },
  "access.refused": {
    doc: "A request was refused for who it came from.",
    fields: {
      reason: oneOf(
        ["missing", "unknown", "limited", "busy", "forbidden"],
        "missing: it brought no credentials; unknown: those it brought are not known; limited: as unknown, after too many of its address; busy: too many passwords were being checked; forbidden: its token does not allow this.",
      ),
      route,
      method: label("Known HTTP method, else _OTHER."),
      address: detail("Where it came from, as the socket says."),
      token: detail("The id of its token, if that is known."),
      requestId,
    },
  },
  "access.tokens.changed": {
    doc: "The file of tokens has changed.",
    fields: {
      outcome: oneOf(
        ["loaded", "failed"],
        "loaded: its tokens count from now on; failed: it cannot be used, the tokens before it go on to count.",
      ),
      tokens: sum("How many tokens it has; 0 of one that cannot be used."),
      error,
    },
  },
  "lookup.finished": {
    doc: "One GET or HEAD was decided: the only source of hit rates, numerator and denominator.",
    fields: {
      tenant,
      tier: label('Where it was found: l1 or the adapter\'s name; "" if nowhere.'),
      result: oneOf(["hit", "miss", "error"], "error: a tier failed and no other had it."),
      reason: oneOf(
        ["", ...MISS_REASONS, "tier_failed"],
        'Why it is no hit: how the last copy was lost; never_stored: not since the server started; unknown: it was stored, and how it was lost is forgotten; "" of hits.',
      ),
      keys,
      bytes: sum("Size of the objects found."),
      key,
      requestId,
    },
  },
} as const satisfies EventFamily;

/** Events of the threads of a server. */
export const threadEvents = {
  "worker.started": {
    doc: "A worker is ready: at the start of the server, or in the place of one that is gone.",
    fields: { place: label("The worker's place, 0 and up.") },
  },
  "worker.gone": {
    doc: "A worker's thread is over, or given up.",
    fields: {
      place: label("The worker's place, 0 and up."),
      cause: oneOf(
        ["threw", "ended", "hung", "killed", "not_started", "stopped"],
        "threw: what nobody caught; ended: by itself; hung: its heartbeat stood still, or it did not get ready; killed: as a drill; not_started: before it was ready; stopped: it was told to, with the server or because it was one too many.",
      ),
    },
  },
  "worker.stuck": {
    doc:
      "The thread of a worker that hung is still there one time-out after it was told to end: the process wants a restart.",
    fields: { place: label("The worker's place, 0 and up.") },
  },
  "storage_thread.started": {
    doc:
      "The storage thread has opened the folders of the file tiers: at the start of the server, or after the one before it has ended.",
    fields: {},
  },
  "storage_thread.gone": {
    doc: "The storage thread has ended without being told to; another is started.",
    fields: {
      cause: oneOf(
        ["threw", "ended", "not_started"],
        "threw: what nobody caught; ended: by itself; not_started: before it had opened the folders.",
      ),
      error,
    },
  },
  "storage_thread.stuck": {
    doc:
      "The storage thread's event loop has stood still for 5 s, e.g. in a call to a disk that does not answer. It is left alone.",
    fields: {},
  },
  "storage_thread.resumed": {
    doc: "The storage thread's event loop turns again.",
    fields: { seconds: sum("How long it stood still.") },
  },
} as const satisfies EventFamily;
