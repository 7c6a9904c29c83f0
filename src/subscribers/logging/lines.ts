import type { Delivered } from "../../events/subscriber.ts";
import { type Component, type Fields, on } from "./event_line.ts";

/** At debug every individual event, at the other levels only traced requests and failures. */
const CLOSER_AT_DEBUG = { wants: "traced", wantsAtDebug: "individual" } as const;

const causeOf = ({ error }: { readonly error?: string | undefined }): Fields => error === undefined ? {} : { error };

const http: Component = {
  component: "http",
  lines: [
    on("http.request.end", (end) => {
      const { method, route, status, outcome, count, seconds } = end;
      const fields = { method, route, status: Number(status), outcome, count, seconds, ...causeOf(end) };
      if (status === "500") return ["error", "a request failed", fields];
      if (status.startsWith("5")) return ["warn", "a request was refused", fields];
      return outcome === "aborted"
        ? ["info", "a body was cut short", fields]
        : ["debug", "a request was answered", fields];
    }, CLOSER_AT_DEBUG),
  ],
};

const l1: Component = {
  component: "l1",
  lines: [
    on("quota.changed", ({ tenant, action, limitBytes = "" }) => [
      "info",
      action === "removed" ? "a quota was ended" : "a quota was set",
      { tenant, ...(action === "removed" ? {} : { kind: action, bytes: Number(limitBytes) }) },
    ], { wants: "individual" }),
    on(
      "l1.removed",
      ({ tenant, reason, keys, bytes }) => ["debug", "objects left memory", { tenant, reason, keys, bytes }],
      { wants: "nothing", wantsAtDebug: "aggregated" },
    ),
    on("l1.lease.expired", ({ kind, keys }) => ["warn", "leases expired", { kind, keys }]),
    on(
      "l1.allocation.failed",
      ({ during, keys, bytes }) => ["warn", "no room in memory", { during, keys, bytes }],
      { wants: "traced" },
    ),
    on(
      "l1.read.failed",
      ({ during, reason, keys }) => [
        "warn",
        "an object that was found could not be read",
        { during, reason, keys },
      ],
      { wants: "traced" },
    ),
  ],
};

const storage: Component = {
  component: "storage",
  lines: [
    on(
      "lookup.finished",
      ({ tenant, tier, result, reason, keys, bytes }) => [
        "debug",
        "a lookup was decided",
        { tenant, tier, result, reason, keys, bytes },
      ],
      { wants: "nothing", wantsAtDebug: "individual" },
    ),
    on(
      "sm.write.finished",
      ({ tenant, outcome, keys, bytes }) => ["debug", "a write ended", { tenant, outcome, keys, bytes }],
      { wants: "nothing", wantsAtDebug: "individual" },
    ),
    on(
      "sm.write_back.failed",
      ({ tenant, keys, bytes }) => ["warn", "no tier took acknowledged objects", { tenant, keys, bytes }],
    ),
  ],
};

const storageThread: Component = {
  component: "storage_thread",
  lines: [
    on("storage_thread.started", ({ thread }) => ["info", `the ${thread} thread is ready`, {}]),
    on(
      "storage_thread.stuck",
      ({ thread }) => ["error", `the ${thread} thread hangs: its disk does not respond, or is very slow`, {}],
    ),
    on("storage_thread.resumed", ({ thread, seconds }) => ["info", `the ${thread} thread runs again`, { seconds }]),
    on(
      "storage_thread.gone",
      (gone) => [
        "error",
        `the ${gone.thread} thread has ended and is started again`,
        { cause: gone.cause, ...causeOf(gone) },
      ],
      { wants: "traced" },
    ),
  ],
};

const workers: Component = {
  component: "workers",
  lines: [
    on("worker.started", ({ slot }) => ["info", "a worker is ready", { slot }]),
    on("worker.stuck", ({ slot }) => ["error", "a worker's thread cannot be ended: restart the process", { slot }]),
    on("worker.gone", ({ slot, cause, count }) => {
      const fields = { slot, cause, count };
      return cause === "stopped" ? ["info", "a worker has stopped", fields] : ["warn", "a worker is gone", fields];
    }),
  ],
};

const TIER_CALLS = ["lookup", "lookup_many", "load", "store", "delete"] as const;

type TierCall = Delivered<`l2.${(typeof TIER_CALLS)[number]}.completed`>;

const hasFailed = ({ outcome }: TierCall) => outcome === "failed" || outcome === "error";

const tierCalls = TIER_CALLS.map((op) =>
  on(`l2.${op}.completed`, (call) => {
    const { tier, tenant, outcome, keys, seconds } = call;
    const fields = { tier, tenant, outcome, keys, seconds };
    return hasFailed(call)
      ? ["warn", `a tier failed to ${op}`, { ...fields, ...causeOf(call) }]
      : ["debug", `a tier was called to ${op}`, fields];
  }, {
    ...CLOSER_AT_DEBUG,
    outage: (call) => ({
      kind: `${op} ${call.tier}`,
      // An aborted call says nothing about the tier.
      state: hasFailed(call) ? "fails" : call.outcome === "aborted" ? "unknown" : "works",
      cause: call.error ?? "",
      over: ["a tier works again", { tier: call.tier, op }],
    }),
  })
);

const l2: Component = {
  component: "l2",
  lines: [
    ...tierCalls,
    on("timeout.raised", ({ exceptionType, count }) => ["warn", "a call timed out", { call: exceptionType, count }]),
    on(
      "l2.cleanup_failed",
      ({ tier, error = "" }) => ["warn", "a tier failed to clean up", { tier, error }],
      {
        wants: "traced",
        outage: ({ tier, error = "" }) => ({ kind: `clean up ${tier}`, state: "fails", cause: error }),
      },
    ),
    on(
      "l2.state.changed",
      ({ tier, state, cause = "" }) =>
        state === "unusable"
          ? ["error", "a tier cannot be used", { tier, cause }]
          : ["info", "a tier can be used again", { tier, cause }],
      { wants: "individual" },
    ),
    on(
      "l2.changed_elsewhere",
      ({ tier, scope, count }) =>
        scope === "any"
          ? ["warn", "copies were dropped: another server cleared the tier, or changes were missed", { tier, count }]
          : ["debug", "copies were dropped: another server changed the tier", { tier, scope, count }],
    ),
    on(
      "l2.damaged",
      ({ tier, found, keyHash = "" }) => ["warn", "an object was damaged", { tier, found, key_sha256: keyHash }],
      { wants: "individual" },
    ),
    on("l2.removed", ({ tier, tenant, reason, keys, bytes }) => {
      const fields = { tier, tenant, reason, keys, bytes };
      return reason === "corrupt"
        ? ["warn", "bad objects were removed", fields]
        : ["debug", "objects left a tier", fields];
    }),
  ],
};

const access: Component = {
  component: "access",
  lines: [
    on("access.refused", ({ reason, address = "", token, route, method }) => [
      "warn",
      "a request was denied",
      { reason, address, method, route, ...(token === undefined ? {} : { token }) },
    ], {
      wants: "individual",
      // A request without credentials is normal.
      oncePer: ({ reason, address }) =>
        reason === "missing" || address === undefined ? undefined : `${reason} ${address}`,
    }),
    on("limit.reached", ({ limit, tenant = "", token, route, method }) => [
      // An object that is too large is the affair of its client.
      limit === "object_size" || limit === "metadata" ? "info" : "warn",
      "a limit was reached",
      { limit, tenant, method, route, ...(token === undefined ? {} : { token }) },
    ], { wants: "individual", oncePer: ({ limit, tenant = "" }) => `limit ${limit} ${tenant}` }),
    on(
      "access.tokens.changed",
      ({ outcome, tokens, error = "" }) =>
        outcome === "loaded"
          ? ["info", "the token file was loaded", { tokens }]
          : ["error", "the token file is invalid: the previous tokens stay in effect", { error }],
      {
        wants: "individual",
      },
    ),
    on(
      "tls.certificate.changed",
      ({ outcome, error = "" }) =>
        outcome === "loaded"
          ? ["info", "the certificate was renewed", {}]
          : ["error", "the certificate cannot be used: the previous one stays in effect", { error }],
      { wants: "individual" },
    ),
    on(
      "access.keys.changed",
      ({ outcome, keys, error = "" }) =>
        outcome === "loaded"
          ? ["info", "the keys of JWTs were loaded", { keys }]
          : ["error", "the keys of JWTs could not be loaded: the previous keys stay in effect", { error }],
      {
        wants: "individual",
        outage: ({ outcome, error = "" }) => ({
          kind: "keys of JWTs",
          state: outcome === "failed" ? "fails" : "works",
          cause: error,
          over: ["the keys of JWTs can be loaded again", {}],
        }),
      },
    ),
  ],
};

/** Every log line that is made from an event. */
export const components: readonly Component[] = [access, http, l1, storage, storageThread, workers, l2];
