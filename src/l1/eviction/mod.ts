import { lru } from "./lru.ts";
import type { PolicyFactory } from "./policy.ts";
import { s3Fifo } from "./s3_fifo.ts";

/** Eviction policies by the names that settings use. */
export const evictionPolicies = {
  "s3-fifo": s3Fifo,
  lru,
} as const satisfies Record<string, PolicyFactory>;

/** Name of an eviction policy. */
export type EvictionPolicyName = keyof typeof evictionPolicies;
