import { setTimeout as wait } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { type S3Settings, urlOf } from "./settings.ts";

/** Number of attempts, and the longest first and last waits between them, as the SDKs' standard mode has them. */
const ATTEMPTS = 3;
const [BASE_MS, THROTTLED_BASE_MS, LONGEST_MS] = [100, 500, 5000];
/** Milliseconds after which an attempt times out, and after which it counts as slow. */
const [ATTEMPT_MS, SLOW_MS] = [25_000, 5000];
/** Responses after which a later attempt may succeed. */
const PASSING_STATUS: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);
const PASSING_CODE: ReadonlySet<string> = new Set([
  "ConditionalRequestConflict",
  "InternalError",
  "OperationAborted",
  "RequestTimeout",
  "RequestTimeTooSkewed",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
]);
/** Errors of keys that may have been replaced. */
const STALE_KEYS: ReadonlySet<string> = new Set(["ExpiredToken", "InvalidAccessKeyId", "TokenRefreshRequired"]);

/** A request for the bucket ("") or one of its objects. */
export interface S3Request {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** Milliseconds for one attempt, which then is the only one; default: attempts as the SDKs make them. */
  readonly onceMs?: number;
}

/** Options of an S3Client. */
export interface S3ClientOptions {
  readonly settings: S3Settings;
  readonly credentials: CredentialSource;
  /** Wall time, which signatures carry. */
  readonly nowMs: () => number;
  /** Called when an attempt was not answered within some seconds. */
  readonly onSlow: () => void;
}

/**
 * Sends signed requests. Repeats a request after a lost connection, after a server error, or when the store asks to
 * slow down; never after another error of the request.
 */
export class S3Client {
  readonly #options: S3ClientOptions;
  readonly #signingKeys = new Map<string, ArrayBuffer>();
  /** The store's clock minus ours, if the store has refused ours. */
  #skewMs = 0;

  constructor(options: S3ClientOptions) {
    this.#options = options;
  }

  /** Returns the last response, whatever its status. Throws S3Failure if there is none. */
  async send(request: S3Request): Promise<S3Reply> {
    const attempts = request.onceMs === undefined ? ATTEMPTS : 1;
    let forceRefresh = false;
    for (let attempt = 1;; attempt += 1) {
      const isLast = attempt === attempts;
      let isThrottled = false;
      try {
        const reply = await this.#attempt(request, forceRefresh);
        forceRefresh = STALE_KEYS.has(reply.code);
        const isPassing = PASSING_STATUS.has(reply.status) || PASSING_CODE.has(reply.code) || forceRefresh;
        if (!isPassing || isLast) return reply;
        if (reply.code === "RequestTimeTooSkewed") this.#learnTime(reply);
        isThrottled = reply.status === 429 || reply.status === 503;
      } catch (cause) {
        const { method, name = "" } = request;
        if (isLast) throw new S3Failure(`${method} ${this.#host(name)}`, { cause });
      }
      const mostMs = Math.min(LONGEST_MS, (isThrottled ? THROTTLED_BASE_MS : BASE_MS) * 2 ** (attempt - 1));
      await wait(Math.random() * mostMs, undefined, { ref: false });
    }
  }

  async #attempt({ method, name = "", query = {}, headers = {}, body, onceMs }: S3Request, forceRefresh: boolean) {
    const { settings, credentials, nowMs, onSlow } = this.#options;
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials({ forceRefresh });
    const url = urlOf(settings, name);
    for (const [parameter, value] of Object.entries(query)) url.searchParams.set(parameter, value);
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      headers: { "accept-encoding": "identity", ...headers },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: "s3",
      region: settings.region,
      cache: this.#signingKeys,
      datetime: new Date(nowMs() + this.#skewMs).toISOString().replaceAll(/[:-]|\.\d{3}/g, ""),
    });
    const signed = await signer.sign();
    const slow = onceMs === undefined ? setTimeout(onSlow, SLOW_MS) : undefined;
    try {
      const response = await fetch(signed.url, {
        method,
        headers: signed.headers,
        body: body ?? null,
        redirect: "manual",
        signal: AbortSignal.timeout(onceMs ?? ATTEMPT_MS),
      });
      return await replyOf(response);
    } finally {
      clearTimeout(slow);
    }
  }

  #learnTime({ headers }: S3Reply): void {
    const theirMs = Date.parse(headers.get("date") ?? "");
    if (Number.isFinite(theirMs)) this.#skewMs = theirMs - this.#options.nowMs();
  }

  #host(name: string): string {
    return urlOf(this.#options.settings, name === "" ? "" : "…").host;
  }
}

async function replyOf(response: Response): Promise<S3Reply> {
  const body = Buffer.from(await response.arrayBuffer());
  const { status, headers } = response;
  const announced = headers.get("content-length");
  if (announced !== null && Number(announced) !== body.length) {
    throw new TypeError(`response of ${announced} bytes was cut after ${body.length}`);
  }
  // Some requests answer 200 before they are done, with the error in the body.
  const isError = status >= 300 || (body.length < 4096 && body.includes("<Error>") && isXml(headers));
  return { status, headers, body, code: isError ? textOf(body.toString("utf8"), "Code") : "" };
}

function isXml(headers: Headers): boolean {
  return headers.get("content-type")?.includes("xml") ?? false;
}

/** The keys that requests are signed with. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** Returns the current keys; `forceRefresh` asks for new ones. Throws if there are none. */
export type CredentialSource = (options?: { readonly forceRefresh: boolean }) => Promise<Credentials>;

/**
 * The keys of the environment, or what AWS's SDK finds: shared files, single sign-on, a process, a web identity, a
 * container's or an instance's metadata.
 */
export function credentialSource(env: Readonly<Record<string, string | undefined>>): CredentialSource {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    const keys = { accessKeyId, secretAccessKey, sessionToken: env["AWS_SESSION_TOKEN"] };
    return () => Promise.resolve(keys);
  }
  let chain: Promise<CredentialSource> | undefined;
  return async (options) => {
    // The chain is large, and most servers do not need it.
    chain ??= import("@aws-sdk/credential-provider-node").then(({ defaultProvider }) => defaultProvider());
    return await (await chain)(options);
  };
}

/** A response with its whole body. */
export interface S3Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer<ArrayBuffer>;
  /** The error code of the response, "" for a success or if it has none. */
  readonly code: string;
}

/** A request that the store refused or did not answer. */
export class S3Failure extends Error {
  override readonly name: string = "S3Failure";
  /** The HTTP status; 0 if there was no response. */
  readonly status: number;
  /** The store's error code; "" if it has none. */
  readonly code: string;

  constructor(
    message: string,
    { status = 0, code = "", cause }: { readonly status?: number; readonly code?: string; readonly cause?: unknown } =
      {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.code = code;
  }
}

/** The error for a response: its code and message, and the bucket's region if that may be what is wrong. */
export function failureOf(action: string, { status, code, body, headers }: S3Reply): S3Failure {
  const message = textOf(body.subarray(0, 4096).toString("utf8"), "Message");
  const region = headers.get("x-amz-bucket-region");
  const hint = region !== null && [301, 307, 400, 403].includes(status) ? ` (the bucket is in region ${region})` : "";
  return new S3Failure(`${action}: ${status} ${code}${message === "" ? "" : `: ${message}`}${hint}`, { status, code });
}

/**
 * The texts of all elements of this name, in order. Enough for what S3 stores answer, whose elements have no attributes
 * and never contain one of their own name.
 */
export function textsOf(xml: string, name: string): readonly string[] {
  const pattern = new RegExp(`<${name}>(.*?)</${name}>`, "gs");
  return Array.from(xml.matchAll(pattern), ([, text = ""]) => text);
}

/** The text of the first element of this name, with its entities resolved; "" if there is none. */
export function textOf(xml: string, name: string): string {
  return (textsOf(xml, name)[0] ?? "").replaceAll(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (entity, hex: string | undefined, decimal: string | undefined, named: string | undefined) => {
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      return NAMED[named ?? ""] ?? entity;
    },
  );
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Escapes a text for an element. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
