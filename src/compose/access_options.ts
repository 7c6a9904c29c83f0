import type { AdminOptions } from "../../routes/mod.ts";
import { type Config, isExposed } from "../config.ts";

/** The settings that say whom the routes answer. */
export function accessOptions(
  config: Config,
): Pick<AdminOptions, "allowedHosts" | "corsOrigins" | "isExposed" | "metricsAreOpen"> {
  return {
    allowedHosts: config.allowedHosts,
    corsOrigins: config.corsOrigins,
    isExposed: isExposed(config),
    metricsAreOpen: config.metricsAccess === "open",
  };
}
