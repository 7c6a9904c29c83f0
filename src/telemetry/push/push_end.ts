import { diag, DiagLogLevel } from "@opentelemetry/api";

/** How one push ended. */
export interface PushEnd {
  /** Why it did not arrive; undefined if it did. */
  readonly error?: Error | undefined;
  /** What the collector said of the items it did not take, though the push arrived. */
  readonly rejected?: { readonly items: number; readonly message: string } | undefined;
}

/** Counts how pushes of one signal ended, and tells each. One of which the collector did not take all has failed. */
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
/** The exporter's message for any answer after which a push may be tried again. */
const RETRYABLE = "Export failed with retryable status";

/**
 * The last diagnostic message, which belongs to no push yet. The API has one diagnostic logger for the whole process.
 */
const said: { rejected: PushEnd["rejected"] } = { rejected: undefined };

/**
 * Listens to what the SDK's exporters say of an answer that is a success: they tell it the diagnostic logger alone, in
 * the turn in which they then call back.
 */
export function listenToExporters(): void {
  const warn = (...[message, ...rest]: readonly unknown[]) => {
    const text = [message, ...rest.filter((each) => typeof each === "string")].join(" ");
    if (text.includes(PARTIAL)) said.rejected = rejectedOf(text.slice(text.indexOf(PARTIAL) + PARTIAL.length));
    else if (UNREADABLE.test(text)) said.rejected = { items: 0, message: "the answer is not one of OTLP" };
  };
  const ignore = () => {};
  const logger = { verbose: ignore, debug: ignore, info: ignore, error: ignore, warn };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

/** The end of a push; to be called in the exporter's callback. */
export function pushEnd({ code, error }: { readonly code: number; readonly error?: Error }): PushEnd {
  const { rejected } = said;
  said.rejected = undefined;
  if (code === SUCCESS) return rejected === undefined ? {} : { rejected };
  if (error === undefined) return { error: new Error("push: the collector did not take it") };
  if (error.message !== RETRYABLE) return { error: describe(error) };
  return {
    error: new Error("the collector is too busy or not there for now (429, 502, 503 or 504)", { cause: error }),
  };
}

/** An answer with another status has its number in `code`, and often no text. */
function describe(error: Error): Error {
  const status = "code" in error && typeof error.code === "number" ? error.code : undefined;
  return status === undefined ? error : new Error(`the collector answered ${status} ${error.message}`.trim());
}

/**
 * `{"rejectedSpans": "3", "errorMessage": "…"}`, by signal; 0 rejected: the collector takes all and has something to
 * say.
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
