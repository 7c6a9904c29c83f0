import { MISS_REASONS } from "../core/miss_reason.ts";

/**
 * Every event, declared once. Types, roll-up rules, the binary codec and docs/EVENTS.md all come from this table.
 * A field is one of
 * - label: a string from a small set; kept under folding, so counts stay exact per label.
 * - sum: a number that is added up when events are folded.
 * - histogram: a number >= 0 measured against bounds, at most one per event; folding keeps one group per bucket, so
 *   bucket counts and the sum stay exact.
 * - detail: a string that only a single event carries; folding sheds it.
 */
export type FieldKind = "label" | "sum" | "histogram" | "detail";

interface Field<Kind extends FieldKind, Value> {
  readonly kind: Kind;
  readonly doc: string;
  /** Upper bounds of the buckets, ascending; only for histograms. */
  readonly bounds?: readonly number[];
  /** Only for labels: every value there is, where the set is closed. */
  readonly values?: readonly Value[];
  /** Only for labels: clients choose the values, so their number is limited where they are kept apart. */
  readonly open?: boolean;
  /** Never read: carries the field's type. */
  readonly value?: Value;
}

interface Choice<Value> extends Field<"label", Value> {
  readonly values: readonly Value[];
}

const label = (doc: string): Field<"label", string> => ({ kind: "label", doc });
const oneOf = <const Value extends string>(values: readonly Value[], doc: string): Choice<Value> => ({
  kind: "label",
  doc,
  values,
});
const openLabel = (doc: string): Field<"label", string> => ({ kind: "label", doc, open: true });
const sum = (doc: string): Field<"sum", number> => ({ kind: "sum", doc });
const detail = (doc: string): Field<"detail", string> => ({ kind: "detail", doc });
const seconds = (doc: string): Field<"histogram", number> => ({ kind: "histogram", doc, bounds: LATENCY_BOUNDS });

/** Bytes: powers of four from 1 KiB to 64 MiB. */
export const SIZE_BOUNDS: readonly number[] = Array.from({ length: 9 }, (_, power) => 1024 * 4 ** power);

/** Seconds: from 50 us (an L1 hit) to 10 s, so that the HTTP default (5 ms …) is a subset. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.00005,
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
];

/** How many of something, from 1 to the most changes of one commit: powers of two. */
export const COUNT_BOUNDS: readonly number[] = Array.from({ length: 10 }, (_, power) => 2 ** power);

const size = (doc: string): Field<"histogram", number> => ({ kind: "histogram", doc, bounds: SIZE_BOUNDS });
const count = (doc: string): Field<"histogram", number> => ({ kind: "histogram", doc, bounds: COUNT_BOUNDS });

const tenant = openLabel('The object\'s tenant, "" by default.');
const tier = label("The L2 adapter's name.");
const keys = sum("How many objects.");
const bytes = sum("Their bytes (payload).");
const key = detail(
  "The object key, when the event concerns one object and its publisher has it as text: storage does, L1 does not.",
);
const error = detail(
  "Why it failed: the messages of the error and its causes in one line. An event that carries it comes one by one to whoever follows its type.",
);
const route = label("The route's template; _other if no route has the path and the method, or the host is refused.");
const requestId = detail("The HTTP request this belongs to: the `traceparent` of its response, if it is followed.");

export const catalogue = {
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
  "l1.read.reserved": { doc: "Read leases were given on resident objects.", fields: { tenant, keys, bytes, key } },
  "l1.read.finished": { doc: "Read leases were given back by their holder.", fields: { tenant, keys, bytes, key } },
  "l1.write.reserved": { doc: "Memory was staged for writing.", fields: { tenant, keys, bytes, key } },
  "l1.write.finished": {
    doc: "Staged objects were admitted (dropped duplicates are not counted).",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write_finished_and_read_reserved": {
    doc: "Staged objects were admitted and read-leased in one step.",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write.aborted": { doc: "Staged memory was given back without admission.", fields: { tenant, keys, bytes, key } },
  "l1.removed": {
    doc: "Objects left L1.",
    fields: {
      tenant,
      reason: oneOf(
        ["watermark", "pressure", "quota", "expired", "deleted", "cleared", "replaced", "temporary"],
        "Why.",
      ),
      keys,
      bytes,
      key,
    },
  },
  "l1.key.sampled": {
    doc: "Something happened to an object whose key's hash is a multiple of 128: what lifetimes are measured on.",
    fields: {
      tenant,
      action: oneOf(
        ["written", "loaded", "read", "removed"],
        "written: admitted by a write; loaded: admitted from a tier, for a reader; read: found resident by a reader.",
      ),
      reason: oneOf(
        ["", "watermark", "pressure", "quota", "expired", "deleted", "cleared", "replaced", "temporary"],
        'Why it was removed; "" for the other actions.',
      ),
      keyHash: detail("The hash of tenant and key, in digits."),
      atMs: detail(
        "When, in milliseconds of the server's monotonic clock, in digits: lifetimes do not depend on wall time.",
      ),
    },
  },
  "l1.lease.expired": {
    doc: "Leases ran out before their holder gave them back.",
    fields: { kind: oneOf(["read", "write"], "Which kind of reservation."), keys },
  },
  "l1.allocation.failed": {
    doc: "L1 had no room even after eviction.",
    fields: { during: oneOf(["l1_store", "l2_prefetch"], "What asked."), keys, bytes, requestId },
  },
  "l1.read.failed": {
    doc: "An object that a lookup had just found could not be read: should stay near zero.",
    fields: {
      during: oneOf(["l1_retrieve", "l2_store"], "What asked."),
      reason: oneOf(["not_found", "write_locked"], "Why."),
      keys,
      requestId,
    },
  },
  "l1.eviction.tick": {
    doc: "The watermark loop ran.",
    fields: {
      triggered: oneOf(["true", "false"], "Whether usage was at or above the high watermark."),
      keys: sum("Objects evicted."),
      bytes,
    },
  },
  "sm.read.prefetched": {
    doc: "A read request probed L1: once per request.",
    fields: { tenant, succeeded: sum("Keys L1 could serve."), failed: sum("Keys L1 could not serve."), requestId },
  },
  "sm.read.finished": {
    doc: "A reader got everything and released it.",
    fields: { tenant, keys, bytes, requestId },
  },
  "sm.read.aborted": {
    doc: "A read broke off: the client went away or a tier failed half-way.",
    fields: { tenant, keys, requestId },
  },
  "sm.write.reserved": {
    doc: "A write request asked for room: once per request.",
    fields: { tenant, succeeded: sum("Keys that got room."), failed: sum("Keys refused."), requestId },
  },
  "sm.write.finished": {
    doc: "A write request ended.",
    fields: {
      tenant,
      outcome: oneOf(["stored", "aborted"], "aborted: refused, broken off or failed after the reservation."),
      keys,
      bytes,
      key,
      requestId,
    },
  },
  "l2.store.submitted": {
    doc: "A store to a tier began.",
    fields: { tier, tenant, keys, bytes: sum("Bytes, where known by then.") },
  },
  "l2.store.completed": {
    doc: "A store to a tier ended.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["ok", "failed", "aborted"], "aborted: the source broke off, the tier is not to blame."),
      keys,
      bytes: sum("Bytes stored; 0 unless ok."),
      seconds: seconds("From submission to the end."),
      error,
      requestId,
    },
  },
  "l2.lookup.completed": {
    doc: "A tier was asked whether it has a key.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["hit", "miss", "error"], "What it said."),
      keys,
      seconds: seconds("Time it took."),
      error,
      requestId,
    },
  },
  "l2.load.submitted": { doc: "A load from a tier began.", fields: { tier, tenant, keys, bytes } },
  "l2.load.completed": {
    doc: "A load from a tier ended.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["ok", "failed", "aborted"], "aborted: no reader wanted the rest."),
      keys,
      bytes: sum("Bytes loaded and verified."),
      requestedBytes: sum("Bytes that l2.load.submitted announced."),
      seconds: seconds("From submission to the last byte."),
      error,
      requestId,
    },
  },
  "l2.delete.completed": {
    doc: "A tier was asked to delete a key.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["deleted", "miss", "error"], "What came of it."),
      keys,
      seconds: seconds("Time it took."),
      error,
      requestId,
    },
  },
  "timeout.raised": {
    doc: "A call was given up because it took too long.",
    fields: {
      exceptionType: oneOf(["l2_lookup", "l2_load", "l2_store", "l2_delete", "l2_list", "l2_usage"], "Which call."),
      requestId,
    },
  },
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
  "l2.removed": {
    doc: "Objects left a tier.",
    fields: {
      tier,
      tenant,
      reason: oneOf(["capacity", "expired", "deleted", "cleared", "replaced", "corrupt"], "Why."),
      keys,
      bytes,
    },
  },
  "l2.state.changed": {
    doc: "A tier can no longer be used, or can be used again.",
    fields: {
      tier,
      state: oneOf(["usable", "unusable"], "Whether it can be used."),
      cause: detail('Why not; "" if it can be used.'),
    },
  },
  "l2.committed": {
    doc:
      "The owner of a file tier's folder made changes in one step: one write, one sync if any of them must be durable, one transaction.",
    fields: {
      tier,
      changes: count("How many changes: objects stored, deleted, found damaged."),
    },
  },
  "l2.commit.timed": {
    doc: "How long a part of such a step took; published with it.",
    fields: {
      tier,
      part: oneOf(
        ["commit", "sync"],
        "commit: all of the step; sync: its wait for stable storage, of steps that have to wait for it.",
      ),
      seconds: seconds("Time it took."),
    },
  },
  "l2.reclaimed": {
    doc: "A segment of a file tier was dropped.",
    fields: {
      tier,
      bytes: sum("Its length."),
      copiedBytes: sum("Bytes of the live records that were moved out of it before."),
    },
  },
  "l2.cleanup_failed": {
    doc: "A file that is no longer needed could not be removed, or a folder not be tidied up: that is tried again.",
    fields: { tier, error },
  },
} as const satisfies Record<
  string,
  { readonly doc: string; readonly fields: Readonly<Record<string, Field<FieldKind, string | number>>> }
>;

type Catalogue = typeof catalogue;
type Simplify<T> = { [K in keyof T]: T[K] };
type ValueOf<F> = F extends Field<FieldKind, infer Value> ? Value : never;
type DetailNames<Fields> = {
  [K in keyof Fields]: Fields[K] extends Field<"detail", infer _> ? K : never;
}[keyof Fields];

/** An event's name. */
export type EventName = keyof Catalogue;

/** What each event carries when it is published: labels and numbers always, details if known. */
export type EventMap = {
  [Name in EventName]: Simplify<
    & {
      readonly [K in Exclude<keyof Catalogue[Name]["fields"], DetailNames<Catalogue[Name]["fields"]>>]: ValueOf<
        Catalogue[Name]["fields"][K]
      >;
    }
    & { readonly [K in DetailNames<Catalogue[Name]["fields"]>]?: ValueOf<Catalogue[Name]["fields"][K]> | undefined }
  >;
};
