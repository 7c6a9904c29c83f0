import type { Config } from "../config.ts";
import { redactUrl } from "./redact_url.ts";

/** The settings fit to be shown: no passwords and no secrets. */
export function publicConfig(config: Config): Config {
  const tokens = config.tokens === undefined ? undefined : "***";
  return { ...config, l2: config.l2.map(redactUrl), tokens };
}
