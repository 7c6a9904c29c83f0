/**
 * Every way in which Vitrine refuses or fails a call, as a closed union; HTTP maps each to one status and problem type.
 */
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
  | "tier_failed"
  | "client_gone"
  | "unauthorized"
  | "forbidden"
  | "too_many_failures"
  | "foreign_origin"
  | "misdirected"
  | "too_many_listeners"
  | "busy"
  | "shutting_down";

/** A refusal or failure with a stable code. Message form: the action, a colon, the value. */
export class VitrineError extends Error {
  override readonly name: string = "VitrineError";
  readonly code: ErrorCode;
  /** Machine-readable extras (limit, used, tier …) for problem+json; never secrets. */
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

const MAX_CAUSES = 6;
const MAX_TEXT = 500;

/**
 * Tells in one line why something failed: the error's message and those of its causes, from the outside to the inside,
 * with the system's code where no message has it. Credentials in URLs are left out. At most 500 characters.
 */
export function causeText(error: unknown): string {
  const parts: string[] = [];
  let each = error;
  for (let depth = 0; each !== undefined && each !== null && depth < MAX_CAUSES; depth++) {
    const text = textOf(each);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
    each = innerOf(each);
  }
  const line = parts.join(": ").replace(/\s+/g, " ").replace(/\/\/[^/\s@]*@/g, "//***@");
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT - 1)}…` : line;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : "";
  const message = error.message.trim() || error.name;
  const code = "code" in error && typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code) ? error.code : "";
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}

/** The cause, or of several errors at once the first. */
function innerOf(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  return error.cause ?? (error instanceof AggregateError ? error.errors[0] : undefined);
}
