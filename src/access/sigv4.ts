import { Buffer } from "node:buffer";
import { createHash, createHmac, type Hash, timingSafeEqual } from "node:crypto";

/** The credentials of a request that is signed with AWS Signature Version 4, in its header or in its query. */
export interface Signature {
  readonly accessKeyId: string;
  /** The day of the credential scope: YYYYMMDD. */
  readonly day: string;
  readonly region: string;
  /** In lower case, in their order. */
  readonly signedHeaders: readonly string[];
  /** 64 hexadecimal digits. */
  readonly signature: string;
  /** YYYYMMDDTHHMMSSZ. */
  readonly time: string;
  /** Seconds for which a presigned URL is valid; undefined for a signature in the header. */
  readonly validSeconds: number | undefined;
}

/** A request as it was sent. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
  /** The `x-amz-content-sha256` that was signed. */
  readonly payload: string;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
const HEADER =
  /^AWS4-HMAC-SHA256\s+Credential=([^/,\s]{1,128})\/(\d{8})\/([\w-]{1,64})\/s3\/aws4_request\s*,\s*SignedHeaders=([a-z0-9;._-]{1,2048})\s*,\s*Signature=([0-9a-f]{64})\s*$/;
const CREDENTIAL = /^([^/,\s]{1,128})\/(\d{8})\/([\w-]{1,64})\/s3\/aws4_request$/;
const TIME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Parses the `Authorization` of a signed request; undefined if it is malformed. */
export function parseSignature(authorization: string, time: string | null): Signature | undefined {
  const [, accessKeyId, day, region, signedHeaders, signature] = HEADER.exec(authorization) ?? [];
  if (accessKeyId === undefined || day === undefined || region === undefined) return undefined;
  if (signedHeaders === undefined || signature === undefined || time === null || !TIME.test(time)) return undefined;
  const headers = signedHeaders.split(";");
  return { accessKeyId, day, region, signedHeaders: headers, signature, time, validSeconds: undefined };
}

/** Parses the query of a presigned URL; undefined if it is malformed. */
export function parsePresigned(query: URLSearchParams): Signature | undefined {
  const [, accessKeyId, day, region] = CREDENTIAL.exec(query.get("X-Amz-Credential") ?? "") ?? [];
  const time = query.get("X-Amz-Date") ?? "";
  const signature = query.get("X-Amz-Signature") ?? "";
  const expires = query.get("X-Amz-Expires") ?? "";
  if (accessKeyId === undefined || day === undefined || region === undefined) return undefined;
  if (query.get("X-Amz-Algorithm") !== ALGORITHM || !TIME.test(time)) return undefined;
  if (!/^[0-9a-f]{64}$/.test(signature) || !/^\d{1,6}$/.test(expires)) return undefined;
  const signedHeaders = (query.get("X-Amz-SignedHeaders") ?? "").split(";");
  return { accessKeyId, day, region, signedHeaders, signature, time, validSeconds: Number(expires) };
}

/** Milliseconds since the epoch of a time in a signature. */
export function timeMsOf(time: string): number {
  return Date.parse(time.replace(TIME, "$1-$2-$3T$4:$5:$6Z"));
}

/** The key with which the requests of one day and region are signed. */
export function signingKeyOf(secret: string, { day, region }: Pick<Signature, "day" | "region">): Uint8Array {
  return ["s3", "aws4_request"].reduce(hmac, hmac(hmac(`AWS4${secret}`, day), region));
}

/** True if the signature is the one that this key gives, compared in constant time. */
export function isSigned(request: SignedRequest, signature: Signature, key: Uint8Array): boolean {
  const toSign = [ALGORITHM, signature.time, scopeOf(signature), sha256(canonicalRequest(request, signature))];
  return isEqual(signature.signature, hmac(key, toSign.join("\n")));
}

/** `day/region/s3/aws4_request`. */
function scopeOf({ day, region }: Pick<Signature, "day" | "region">): string {
  return `${day}/${region}/s3/aws4_request`;
}

/** HMAC-SHA256. */
function hmac(key: string | Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}

/** SHA-256 in hexadecimal digits. */
function sha256(data: string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Compares 64 hexadecimal digits with a hash in constant time. */
function isEqual(hex: string, hash: Uint8Array): boolean {
  const bytes = Buffer.from(hex, "hex");
  return bytes.length === hash.length && timingSafeEqual(bytes, hash);
}

/** The text of which the signature is, by the rules of S3: the path is encoded once, and nothing in it is resolved. */
function canonicalRequest({ method, target, headers, payload }: SignedRequest, { signedHeaders }: Signature): string {
  const cut = target.indexOf("?");
  const path = cut < 0 ? target : target.slice(0, cut);
  const fields = signedHeaders.map((name) => `${name}:${(headers.get(name) ?? "").trim().replace(/ +/g, " ")}\n`);
  return [
    method,
    path.split("/").map(reencode).join("/"),
    canonicalQuery(cut < 0 ? "" : target.slice(cut + 1)),
    fields.join(""),
    signedHeaders.join(";"),
    payload,
  ].join("\n");
}

function canonicalQuery(query: string): string {
  return query.split("&")
    .filter((each) => each !== "")
    .map((each) => {
      const equals = each.indexOf("=");
      const [name, value] = equals < 0 ? [each, ""] : [each.slice(0, equals), each.slice(equals + 1)];
      return [reencode(name), reencode(value)] as const;
    })
    .filter(([name]) => name !== "X-Amz-Signature")
    .toSorted(([a, x], [b, y]) => a === b ? compare(x, y) : compare(a, b))
    .map((pair) => pair.join("="))
    .join("&");
}

// All characters are ASCII here.
const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0;

/** Encodes every byte but the unreserved ones, whatever the client has encoded. */
function reencode(text: string): string {
  let plain = text;
  try {
    plain = decodeURIComponent(text);
  } catch {
    // Not UTF-8: the signature is of the text as it is.
    return text;
  }
  return encodeURIComponent(plain).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * Checks the signatures in a body of `STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)`. Each is of the chunk and of the
 * signature before it; the first of those is the request's own.
 */
export class ChunkSignatures {
  readonly #key: Uint8Array;
  readonly #head: string;
  #previous: string;
  #hash: Hash = createHash("sha256");

  constructor(key: Uint8Array, signature: Signature) {
    this.#key = key;
    this.#head = `${signature.time}\n${scopeOf(signature)}`;
    this.#previous = signature.signature;
  }

  /** Takes the next bytes of the current chunk. */
  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Ends a chunk, the last of which is empty. False if the signature is not of its bytes. */
  endChunk(signature: string): boolean {
    const hash = this.#hash.digest("hex");
    this.#hash = createHash("sha256");
    return this.#check(signature, `AWS4-HMAC-SHA256-PAYLOAD\n${this.#head}\n${this.#previous}\n${sha256("")}\n${hash}`);
  }

  /** Ends the body. `trailer`: the fields as they were sent, each `name:value` and a line feed. */
  endTrailer(signature: string, trailer: string): boolean {
    return this.#check(signature, `AWS4-HMAC-SHA256-TRAILER\n${this.#head}\n${this.#previous}\n${sha256(trailer)}`);
  }

  #check(signature: string, toSign: string): boolean {
    this.#previous = signature;
    return isEqual(signature, hmac(this.#key, toSign));
  }
}
