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
