import type { VitrineError } from "../../core/errors.ts";
import { badUrl, type TierUrl } from "../url.ts";

/** The settings of a tier in an S3 store, from its URL and the environment. */
export interface S3Settings {
  readonly bucket: string;
  /** The first part of all names, without a slash at its end. */
  readonly prefix: string;
  /** The store's base URL, without a slash at its end. */
  readonly endpoint: string;
  readonly region: string;
  /** True if the bucket is the first part of the path, false if it is the first part of the host. */
  readonly pathStyle: boolean;
  /** Milliseconds between two counts of the objects, which list the whole prefix. */
  readonly usageMs: number;
  /** As in L2Reader; missing: no other server changes objects. */
  readonly maxAgeMs?: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Parses `s3://bucket[/prefix]` (the prefix is "vitrine" by default). Parameters: `endpoint` (default AWS), `region`,
 * `path_style` (default on with an endpoint), `usage` (default 1h), `coherence` (default 1m). The environment has
 * AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION and AWS_DEFAULT_REGION. Throws bad_request.
 */
export function s3Settings(url: TierUrl, env: Environment): S3Settings {
  const match = /^([^/]*)(?:\/(.*?)\/?)?$/.exec(url.rawPath);
  const [, bucket = "", prefix = ""] = match ?? [];
  // The text is not shown, because it may be user:password@bucket.
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw bad("must look like s3://bucket/prefix; access keys come from the environment, not from the URL");
  }
  if (
    !/^(?:[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*)?$/.test(prefix) || prefix.length > 200 ||
    /(?:^|\/)\.+(?:\/|$)/.test(prefix)
  ) {
    throw bad(`prefix must be up to 200 of A-Z a-z 0-9 _ . - and single slashes: ${prefix}`);
  }
  if (url.take("max") !== undefined) {
    throw bad("max is not for this tier: limit it with a lifecycle rule of the bucket");
  }
  const region = url.take("region") ?? env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"] ?? "us-east-1";
  if (!/^[a-z0-9-]{1,64}$/.test(region)) throw bad(`region must be a name like eu-central-1: ${region}`);
  const coherence = url.take("coherence") ?? "1m";
  const endpoint = url.take("endpoint") ?? env["AWS_ENDPOINT_URL_S3"] ?? env["AWS_ENDPOINT_URL"];
  return {
    bucket,
    prefix: prefix === "" ? "vitrine" : prefix,
    endpoint: endpoint === undefined ? `https://s3.${region}.amazonaws.com` : endpointOf(endpoint),
    region,
    // A certificate for *.host does not cover a bucket with dots.
    pathStyle: url.takeSwitch("path_style", endpoint !== undefined || bucket.includes(".")),
    usageMs: periodOf("usage", { text: url.take("usage") ?? "1h", leastMs: 60_000 }),
    ...(coherence === "off" ? {} : { maxAgeMs: periodOf("coherence", { text: coherence, leastMs: 1000 }) }),
  };
}

/** Identifies the place where the tier stores its objects, so that no place is used twice. */
export function s3StoreId({ bucket, prefix, endpoint }: S3Settings): string {
  // Buckets of AWS have one name in all regions.
  const store = /^https:\/\/s3\.[a-z0-9-]+\.amazonaws\.com$/.test(endpoint) ? "aws" : endpoint;
  return `s3 ${store} ${bucket} ${prefix}`;
}

/** The URL of an object, or with "" of the bucket. */
export function urlOf({ endpoint, bucket, pathStyle }: S3Settings, name: string): URL {
  const path = name.split("/").map(encodeURIComponent).join("/");
  if (pathStyle) return new URL(`${endpoint}/${bucket}${path === "" ? "" : `/${path}`}`);
  return new URL(`${endpoint.replace("://", `://${bucket}.`)}/${path}`);
}

function endpointOf(text: string): string {
  if (!URL.canParse(text)) throw bad("endpoint must look like https://host:port");
  const { protocol, host, pathname, username, password, search, hash } = new URL(text);
  if (!/^https?:$/.test(protocol) || `${username}${password}${search}${hash}` !== "") {
    throw bad("endpoint must look like https://host:port, without user, query or fragment");
  }
  return `${protocol}//${host}${pathname.replace(/\/+$/, "")}`;
}

function periodOf(
  parameter: "usage" | "coherence",
  { text, leastMs }: { readonly text: string; readonly leastMs: number },
): number {
  const match = /^(\d{1,4})([smhd])$/.exec(text);
  const ms = Number(match?.[1]) * (UNITS_MS[match?.[2] ?? ""] ?? Number.NaN);
  if (ms >= leastMs) return ms;
  const wanted = parameter === "usage" ? "a time of 1m or more, like 15m or 1h" : "off, or a time like 10s or 5m";
  throw bad(`${parameter} must be ${wanted}: ${text}`);
}

function bad(what: string): VitrineError {
  return badUrl(`s3: ${what}`);
}
