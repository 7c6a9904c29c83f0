import type { Access } from "../../src/access/access.ts";
import {
  ChunkSignatures,
  isSigned,
  parsePresigned,
  parseSignature,
  type Signature,
  timeMsOf,
} from "../../src/access/sigv4.ts";
import type { Exchange } from "../exchange.ts";
import { admit, admitAs, denied, type Guard } from "../http/access.ts";
import { queryOf, targetOf } from "../http/target.ts";
import { UNSIGNED_PAYLOAD } from "./wire/payload.ts";
import { s3Error } from "./wire/s3_error.ts";

/** The difference between two clocks that S3 allows. */
const MAX_SKEW_MS = 15 * 60_000;
const MAX_VALID_SECONDS = 7 * 24 * 3600;
const MAX_VALID_MESSAGE = `check signature: it is to be valid for more than ${MAX_VALID_SECONDS} seconds`;

/** Fields that change what a request does: without a signature of their own, whoever has a URL could add them. */
const MEANINGFUL = /^(?:x-amz-|vitrine-)/;
/** Of those, the ones that mean nothing here, or whose value is part of the signature in any case. */
const HARMLESS: ReadonlySet<string> = new Set(["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"]);

/**
 * Admits a request that is signed by AWS Signature Version 4, in the header or as a presigned URL; any other as the
 * rest of the server does. Without tokens nobody has a key pair, and signatures are not checked. Returns what checks
 * the chunks of a signed stream.
 */
export async function admitS3(
  exchange: Exchange,
  request: Request,
  guard: Guard,
): Promise<ChunkSignatures | undefined> {
  const signature = guard.access.isOpen ? undefined : signatureOf(request);
  if (signature === undefined) {
    await admit(exchange, request, guard);
    return undefined;
  }
  checkTime(signature, exchange.nowMs());
  const { grant, signingKey } = pairOf(guard.access, { exchange, request, signature });
  admitAs(exchange, request, { found: grant, scopes: guard.scopes, limits: guard.limits });
  return new ChunkSignatures(signingKey, signature);
}

function signatureOf({ url, headers }: Request): Signature | undefined {
  const query = queryOf(url);
  if (query.has("X-Amz-Signature") || query.has("X-Amz-Algorithm")) {
    const presigned = parsePresigned(query);
    if (presigned !== undefined) return presigned;
    throw s3Error("AuthorizationQueryParametersError", "parse signature: malformed");
  }
  const authorization = headers.get("authorization");
  if (authorization?.startsWith("AWS4-") !== true) return undefined;
  const signature = parseSignature(authorization, headers.get("x-amz-date"));
  if (signature !== undefined) return signature;
  throw s3Error("AuthorizationHeaderMalformed", "parse signature: malformed, or no x-amz-date");
}

function checkTime({ time, day, validSeconds }: Signature, nowMs: number): void {
  const timeMs = timeMsOf(time);
  if (!time.startsWith(day)) throw s3Error("AuthorizationHeaderMalformed", "check signature: of another day");
  if (validSeconds === undefined) {
    if (Math.abs(nowMs - timeMs) <= MAX_SKEW_MS) return;
    throw s3Error("RequestTimeTooSkewed", `check signature: its time is more than ${MAX_SKEW_MS / 60_000} minutes off`);
  }
  if (validSeconds > MAX_VALID_SECONDS) throw s3Error("AuthorizationQueryParametersError", MAX_VALID_MESSAGE);
  if (timeMs > nowMs + MAX_SKEW_MS) throw s3Error("AccessDenied", "check signature: it is not valid yet");
  if (nowMs > timeMs + validSeconds * 1000) throw s3Error("AccessDenied", "check signature: it has expired");
}

/** The key pair that has signed the request. */
function pairOf(
  access: Access,
  { exchange, request, signature }: {
    readonly exchange: Exchange;
    readonly request: Request;
    readonly signature: Signature;
  },
): NonNullable<ReturnType<Access["keyPair"]>> {
  const { headers, method } = request;
  checkSignedHeaders(headers, signature);
  const pair = access.keyPair(signature);
  const signed = { method, target: targetOf(request.url) ?? "", headers, payload: payloadOf(request, signature) };
  if (pair !== undefined && isSigned(signed, signature, pair.signingKey)) return pair;
  const denial = access.failed(exchange.addressOf(request));
  const error = denied(exchange, request, denial);
  if (denial.denied === "limited") throw error;
  throw pair === undefined
    ? s3Error("InvalidAccessKeyId", "check signature: the access key id is not known")
    : s3Error("SignatureDoesNotMatch", "check signature: it is not of this request and this key");
}

function checkSignedHeaders(headers: Headers, { signedHeaders }: Signature): void {
  const signed = new Set(signedHeaders);
  if (!signed.has("host")) throw s3Error("AccessDenied", "check signature: host is not signed");
  for (const name of headers.keys()) {
    if (MEANINGFUL.test(name) && !HARMLESS.has(name) && !signed.has(name)) {
      throw s3Error("AccessDenied", `check signature: ${name} is not signed`);
    }
  }
}

function payloadOf({ url, headers }: Request, { validSeconds }: Signature): string {
  const hash = headers.get("x-amz-content-sha256");
  if (validSeconds !== undefined) return hash ?? queryOf(url).get("X-Amz-Content-Sha256") ?? UNSIGNED_PAYLOAD;
  if (hash === null) throw s3Error("InvalidRequest", "check signature: no x-amz-content-sha256");
  return hash;
}
