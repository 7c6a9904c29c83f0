import type { AdminOptions } from "../../routes/app.ts";
import type { Config } from "../config.ts";
import { isExposed } from "../config/exposure.ts";

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
