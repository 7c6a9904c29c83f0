import { catalogue } from "../../../events/catalogue.ts";
import { counter, type Family } from "../metric.ts";

/** Requests that were refused for who they came from, and changes of the tokens. */
export const accessFamily: Family = {
  name: "metrics.access",
  metrics: [
    counter("vitrine_auth_failures_total", {
      unit: "{request}",
      help:
        "Requests that were refused for who they came from; missing: without credentials; unknown: with those of nobody; limited: the same, after too many of one address; busy: too many passwords were being checked; forbidden: the token does not allow it.",
      answers:
        "Does somebody try tokens, or is a client set up wrongly? The log has the addresses. Clients that wait for a challenge make one missing for each request.",
      labels: ["reason"],
      zero: [{ reason: catalogue["access.refused"].fields.reason.values }],
    }).on("access.refused", ({ count, reason }) => [count, { reason }]),
    counter("vitrine_token_file_loads_total", {
      unit: "{load}",
      help: "Changes of the file of tokens; failed: it cannot be used, and the tokens before it go on to count.",
      answers: "Did a new file of tokens arrive?",
      labels: ["outcome"],
      zero: [{ outcome: catalogue["access.tokens.changed"].fields.outcome.values }],
    }).on("access.tokens.changed", ({ count, outcome }) => [count, { outcome }]),
  ],
};
