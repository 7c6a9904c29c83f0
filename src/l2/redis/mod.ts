import type { AdapterKind, TierPlan } from "../kind.ts";
import type { TierUrl } from "../url.ts";
import { type RedisKind, redisPlace, redisSettings } from "./settings.ts";

/** The URL schemes of tiers in a Valkey or Redis. */
export const redisKinds: readonly (readonly [string, AdapterKind])[] = (["single", "cluster", "sentinel"] as const)
  .flatMap((kind) => [false, true].map((tls) => [`redis${tls ? "s" : ""}${suffix(kind)}:`, kindOf({ kind, tls })]));

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
    place: redisPlace(settings),
    // Loading the client takes more than 100 ms of each thread, so a server without such a tier does not load it.
    open: async (context) => (await import("./open.ts")).openRedis(settings, context),
  };
}
