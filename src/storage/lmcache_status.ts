import type { StorageStatus } from "./storage.ts";

/** The part of LMCache's /status that its command line shows, in LMCache's words. */
export function lmcacheStatus(
  { l1, l2 }: Pick<StorageStatus, "l1" | "l2">,
  { policy, isHealthy }: { readonly policy: string; readonly isHealthy: boolean },
): object {
  const { usedBytes, capacityBytes, objects } = l1;
  return {
    is_healthy: isHealthy,
    engine_type: "Vitrine",
    storage_manager: {
      is_healthy: isHealthy,
      l1_manager: {
        memory_total_bytes: capacityBytes,
        memory_used_bytes: usedBytes,
        memory_usage_ratio: capacityBytes === 0 ? 0 : usedBytes / capacityBytes,
        total_object_count: objects,
      },
      eviction_controller: { eviction_policy: policy },
      num_l2_adapters: l2.length,
      l2_adapters: l2.map((tier) => ({
        type: tier.tier,
        is_healthy: tier.error === undefined,
        stored_object_count: tier.objects,
        current_size_bytes: tier.usedBytes,
        max_capacity_bytes: tier.limitBytes,
      })),
    },
  };
}
