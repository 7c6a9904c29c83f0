import { type ErrorCode, VitrineError } from "../../../src/core/errors.ts";
import type { Refusal } from "../../exchange.ts";

/** S3's own error codes, each with its status and the code under which the rest of the server knows it. */
const CODES = {
  AccessDenied: [403, "forbidden"],
  AuthorizationHeaderMalformed: [400, "bad_request"],
  AuthorizationQueryParametersError: [400, "bad_request"],
  BadDigest: [400, "digest_mismatch"],
  BucketNotEmpty: [409, "bad_request"],
  EntityTooLarge: [400, "too_large"],
  EntityTooSmall: [400, "bad_request"],
  IncompleteBody: [400, "client_gone"],
  InvalidAccessKeyId: [403, "unauthorized"],
  InvalidArgument: [400, "bad_request"],
  InvalidBucketName: [400, "bad_key"],
  InvalidDigest: [400, "bad_request"],
  InvalidPart: [400, "bad_request"],
  InvalidPartOrder: [400, "bad_request"],
  InvalidRange: [416, "bad_range"],
  InvalidRequest: [400, "bad_request"],
  KeyTooLongError: [400, "bad_key"],
  MalformedXML: [400, "bad_request"],
  NoSuchKey: [404, "not_found"],
  NoSuchUpload: [404, "not_found"],
  NotImplemented: [501, "bad_request"],
  PreconditionFailed: [412, "precondition_failed"],
  RequestTimeTooSkewed: [403, "unauthorized"],
  SignatureDoesNotMatch: [403, "unauthorized"],
  XAmzContentSHA256Mismatch: [400, "digest_mismatch"],
} as const satisfies Readonly<Record<string, readonly [number, ErrorCode]>>;

/** An error code that only S3 clients know. */
export type S3Code = keyof typeof CODES;

/** The codes and statuses of failures that the rest of the server knows. 5xx is repeated by clients, except 507. */
const SHARED: Readonly<Record<Refusal["code"], readonly [code: string, status: number]>> = {
  bad_request: ["InvalidArgument", 400],
  bad_key: ["InvalidArgument", 400],
  bad_range: ["InvalidRange", 416],
  not_found: ["NoSuchKey", 404],
  method_not_allowed: ["MethodNotAllowed", 405],
  length_required: ["MissingContentLength", 411],
  length_mismatch: ["IncompleteBody", 400],
  // Of the digests, only this one is verified by the storage.
  digest_mismatch: ["XAmzContentSHA256Mismatch", 400],
  precondition_failed: ["PreconditionFailed", 412],
  too_large: ["EntityTooLarge", 400],
  metadata_too_large: ["MetadataTooLarge", 400],
  loop_detected: ["ServiceUnavailable", 503],
  no_room: ["InsufficientStorage", 507],
  over_quota: ["QuotaExceeded", 507],
  too_many_quotas: ["InsufficientStorage", 507],
  quota_not_kept: ["ServiceUnavailable", 503],
  tier_failed: ["ServiceUnavailable", 503],
  client_gone: ["IncompleteBody", 400],
  unauthorized: ["AccessDenied", 403],
  forbidden: ["AccessDenied", 403],
  too_many_failures: ["SlowDown", 503],
  foreign_origin: ["AccessDenied", 403],
  misdirected: ["InvalidRequest", 421],
  too_many_listeners: ["SlowDown", 503],
  busy: ["SlowDown", 503],
  keys_unavailable: ["ServiceUnavailable", 503],
  overloaded: ["SlowDown", 503],
  too_many_requests: ["SlowDown", 503],
  rate_limited: ["SlowDown", 503],
  too_many_bytes: ["SlowDown", 503],
  too_slow: ["RequestTimeout", 400],
  shutting_down: ["ServiceUnavailable", 503],
  internal_error: ["InternalError", 500],
};

/** Makes an error that is answered with this code. */
export function s3Error(
  code: S3Code,
  message: string,
  details: Readonly<Record<string, string | number>> = {},
): VitrineError {
  return new VitrineError(CODES[code][1], message, { details: { ...details, s3_code: code } });
}

/** The code and the status of a refusal. */
export function s3CodeOf({ code, details }: Refusal): { readonly code: string; readonly status: number } {
  const own = Object.entries(CODES).find(([name]) => name === details?.["s3_code"]);
  if (own !== undefined) return { code: own[0], status: own[1][0] };
  const [name, status] = SHARED[code];
  return { code: name, status };
}
