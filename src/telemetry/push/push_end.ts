import { diag, DiagLogLevel } from "@opentelemetry/api";

/** The result of a push. */
export interface PushEnd {
  /** The reason why it did not arrive; undefined if it did. */
  readonly error?: Error | undefined;
  /** The items that the collector rejected although the push arrived, and its message. */
  readonly rejected?: { readonly items: number; readonly message: string } | undefined;
}

/** Counts and reports the results of a signal's pushes. A push that the collector accepted only in part has failed. */
export class ExportCounts {
  readonly #onEnd: (end: PushEnd) => void;
  #ok = 0;
  #failed = 0;

  /** `onEnd` must not throw. */
  constructor(onEnd: (end: PushEnd) => void = () => {}) {
    this.#onEnd = onEnd;
  }

  get ok(): number {
    return this.#ok;
  }

  get failed(): number {
    return this.#failed;
  }

  count(end: PushEnd): void {
    if (end.error === undefined && (end.rejected?.items ?? 0) === 0) this.#ok++;
    else this.#failed++;
    this.#onEnd(end);
  }
}

/** ExportResultCode.SUCCESS of @opentelemetry/core. */
const SUCCESS = 0;
const PARTIAL = "Received Partial Success response:";
/** From the exporter of protobuf, and from that of JSON. */
const UNREADABLE = /could not deserialize response|Failed to parse \w+ export response/;
/** The exporter's message for all responses after which a push may be retried. */
const RETRYABLE = "Export failed with retryable status";

/**
 * The last diagnostic message that belongs to no push yet. The API has one diagnostic logger per process.
 */
const lastMessage: { rejected: PushEnd["rejected"] } = { rejected: undefined };

/**
 * Listens to the diagnostic logger: the SDK's exporters report partial success only there, in the same turn of the
 * event loop in which they call back.
 */
export function listenToExporters(): void {
  const warn = (...[message, ...rest]: readonly unknown[]) => {
    const text = [message, ...rest.filter((each) => typeof each === "string")].join(" ");
    if (text.includes(PARTIAL)) lastMessage.rejected = rejectedOf(text.slice(text.indexOf(PARTIAL) + PARTIAL.length));
    else if (UNREADABLE.test(text)) lastMessage.rejected = { items: 0, message: "the answer is not one of OTLP" };
  };
  const ignore = () => {};
  const logger = { verbose: ignore, debug: ignore, info: ignore, error: ignore, warn };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

/** The result of a push. To be called in the exporter's callback. */
export function pushEnd({ code, error }: { readonly code: number; readonly error?: Error }): PushEnd {
  const { rejected } = lastMessage;
  lastMessage.rejected = undefined;
  if (code === SUCCESS) return rejected === undefined ? {} : { rejected };
  if (error === undefined) return { error: new Error("push: the collector did not take it") };
  if (error.message !== RETRYABLE) return { error: describe(error) };
  return {
    error: new Error("the collector is too busy or not there for now (429, 502, 503 or 504)", { cause: error }),
  };
}

/** An error for another status has the number in `code`, and often no text. */
function describe(error: Error): Error {
  const status = "code" in error && typeof error.code === "number" ? error.code : undefined;
  return status === undefined ? error : new Error(`the collector answered ${status} ${error.message}`.trim());
}

/**
 * Parses e.g. `{"rejectedSpans": "3", "errorMessage": "…"}`. With 0 rejected, the collector accepted everything and
 * only sends a message.
 */
function rejectedOf(json: string): PushEnd["rejected"] {
  const fields: unknown = JSON.parse(json);
  if (typeof fields !== "object" || fields === null) return undefined;
  let items = 0;
  let message = "";
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith("rejected")) items = Number(value) || 0;
    else if (name === "errorMessage" && typeof value === "string") message = value;
  }
  return items === 0 && message === "" ? undefined : { items, message };
}
