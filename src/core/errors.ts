/** The ways in which a call can fail or be refused; routes/ maps each to one HTTP status and problem type. */
export type ErrorCode =
  | "bad_request"
  | "bad_key"
  | "bad_range"
  | "not_found"
  | "method_not_allowed"
  | "length_required"
  | "length_mismatch"
  | "digest_mismatch"
  | "precondition_failed"
  | "too_large"
  | "metadata_too_large"
  | "no_room"
  | "over_quota"
  | "too_many_quotas"
  | "quota_not_kept"
  | "loop_detected"
  | "tier_failed"
  | "client_gone"
  | "unauthorized"
  | "forbidden"
  | "too_many_failures"
  | "foreign_origin"
  | "misdirected"
  | "too_many_listeners"
  | "busy"
  | "keys_unavailable"
  | "overloaded"
  | "too_many_requests"
  | "rate_limited"
  | "too_many_bytes"
  | "too_slow"
  | "shutting_down";

/** A failure or refusal with a stable code. The form of its message: the action, a colon, the value. */
export class VitrineError extends Error {
  override readonly name: string = "VitrineError";
  readonly code: ErrorCode;
  /** Machine-readable members of the problem+json (limit, used, tier …); never secrets. */
  readonly details: Readonly<Record<string, string | number>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: Readonly<Record<string, string | number>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

const MAX_TEXT_CAUSES = 6;
const MAX_TEXT_CHARACTERS = 500;

/**
 * Explains a failure in one line of at most 500 characters: the messages of the error and of its causes, outermost
 * first, with the system's error code if the message lacks it. Credentials in URLs are masked.
 */
export function causeText(error: unknown): string {
  const parts: string[] = [];
  let each = error;
  for (let depth = 0; each !== undefined && each !== null && depth < MAX_TEXT_CAUSES; depth++) {
    const text = textOf(each);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
    each = innerOf(each);
  }
  const line = parts.join(": ").replace(/\s+/g, " ").replace(/\/\/[^/\s@]*@/g, "//***@");
  return line.length > MAX_TEXT_CHARACTERS ? `${line.slice(0, MAX_TEXT_CHARACTERS - 1)}…` : line;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : "";
  const message = error.message.trim() || error.name;
  const code = "code" in error && typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code) ? error.code : "";
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}

/** The cause; for an AggregateError without one, its first error. */
function innerOf(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  return error.cause ?? (error instanceof AggregateError ? error.errors[0] : undefined);
}
