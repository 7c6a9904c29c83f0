import { type ErrorCode, VitrineError } from "./errors.ts";

/** Most causes that cross. */
const MAX_CAUSES = 8;

/** An error as it crosses threads. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, string | number>>;
  /** The messages of its causes, outermost first. */
  readonly causes: readonly string[];
}

/** What is told of an error; one that is no VitrineError is a tier's. */
export function failureOf(error: unknown): Failure {
  const causes: string[] = [];
  for (let cause = error instanceof Error ? error.cause : undefined; cause instanceof Error;) {
    if (causes.push(cause.message) === MAX_CAUSES) break;
    cause = cause.cause;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof VitrineError) return { code: error.code, message, details: error.details, causes };
  return { code: "tier_failed", message, details: {}, causes };
}

/** The error that was told. */
export function errorOf({ code, message, details, causes }: Failure): VitrineError {
  const cause = causes.reduceRight<Error | undefined>((inner, text) => new Error(text, { cause: inner }), undefined);
  return new VitrineError(code, message, { details, cause });
}
