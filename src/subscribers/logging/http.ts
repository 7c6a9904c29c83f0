import type { EventName } from "../../events/catalogue.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Level } from "./level.ts";
import type { Log } from "./log.ts";

/** Logs answers: failures of ours as errors, what broke off as information, all others for those who look closely. */
export class HttpLogging implements Subscriber {
  readonly name = "logging.http";
  readonly subscriptions: Subscriptions;
  readonly detail: readonly EventName[];
  readonly followed: readonly EventName[] = ["http.request.end"];

  constructor(log: Log) {
    this.detail = log.writes("debug") ? ["http.request.end"] : [];
    this.subscriptions = {
      "http.request.end": (event) => {
        const { status, outcome, method, route, count, seconds, error, timeMs, requestId } = event;
        const [level, message] = kindOf(status, outcome);
        if (!log.writes(level)) return;
        const cause = error === undefined ? {} : { error };
        const attributes = { method, route, status: Number(status), outcome, count, seconds, ...cause };
        log.line({ level, component: "http", message, timeMs, attributes, requestId });
      },
    };
  }
}

function kindOf(status: string, outcome: string): readonly [Level, string] {
  if (status === "500") return ["error", "a request failed"];
  if (status.startsWith("5")) return ["warn", "a request was refused"];
  return outcome === "aborted" ? ["info", "a body broke off"] : ["debug", "a request was answered"];
}
