import process from "node:process";
import { planFileUrl } from "./file/url.ts";
import { httpSettings, httpStoreId } from "./http/settings.ts";
import { planMemoryUrl } from "./memory.ts";
import { type RedisKind, redisSettings, redisStoreId } from "./redis/settings.ts";
import { s3Settings, s3StoreId } from "./s3/settings.ts";
import type { AdapterKind, TierPlan, TierUrl } from "./url.ts";

/** The URL schemes of tiers in a Valkey or Redis. */
const redisKinds: readonly (readonly [string, AdapterKind])[] = (["single", "cluster", "sentinel"] as const)
  .flatMap((kind) => [false, true].map((tls) => [`redis${tls ? "s" : ""}${suffix(kind)}:`, kindOf({ kind, tls })]));

/** All kinds of adapters, by URL scheme. */
export const adapters: ReadonlyMap<string, AdapterKind> = new Map([
  ["file:", { defaultName: "fs", isShared: true, plan: planFileUrl }],
  ["memory:", { defaultName: "memory", isShared: false, plan: planMemoryUrl }],
  ...redisKinds,
  ["s3:", { defaultName: "s3", isShared: true, plan: planS3Url }],
  ["http:", { defaultName: "http", isShared: true, isPlain: true, plan: planHttpUrl }],
  ["https:", { defaultName: "http", isShared: true, isPlain: true, plan: planHttpUrl }],
]);

function suffix(kind: RedisKind): string {
  return kind === "single" ? "" : `+${kind}`;
}

function kindOf(which: { readonly kind: RedisKind; readonly tls: boolean }): AdapterKind {
  return { defaultName: "redis", isShared: true, plan: (url) => planRedisUrl(url, which) };
}

function planRedisUrl(url: TierUrl, which: { readonly kind: RedisKind; readonly tls: boolean }): TierPlan {
  const settings = redisSettings(url, which);
  url.finish();
  return {
    storeId: redisStoreId(settings),
    // Loading the client takes more than 100 ms of each thread, so a server without such a tier does not load it.
    open: async (context) => (await import("./redis/adapter.ts")).openRedis(settings, context),
  };
}

function planS3Url(url: TierUrl): TierPlan {
  const settings = s3Settings(url, process.env);
  url.finish();
  return {
    storeId: s3StoreId(settings),
    // A server without such a tier loads neither client nor signer.
    open: async (context) => (await import("./s3/adapter.ts")).openS3(settings, context),
  };
}

function planHttpUrl(url: TierUrl): TierPlan {
  const settings = httpSettings(url);
  url.finish();
  return {
    storeId: httpStoreId(settings),
    open: async (context) => (await import("./http/open.ts")).openHttp(settings, context),
  };
}
