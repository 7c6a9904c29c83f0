import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { Env } from "./env.ts";

/**
 * Who sends the telemetry: service.name, service.version, service.instance.id, and what OTEL_RESOURCE_ATTRIBUTES adds or overrides
 * (comma-separated key=value, percent-encoded). OTEL_SERVICE_NAME wins over both.
 */
export function resourceOf(env: Env, defaults: { readonly version: string; readonly instanceId: string }): Resource {
  const serviceName = env["OTEL_SERVICE_NAME"];
  return resourceFromAttributes({
    "service.name": "vitrine",
    "service.version": defaults.version,
    "service.instance.id": defaults.instanceId,
    ...parsePairs(env["OTEL_RESOURCE_ATTRIBUTES"] ?? ""),
    ...(serviceName ? { "service.name": serviceName } : {}),
  });
}

/** Malformed pairs are left out, as the OpenTelemetry specification asks. */
function parsePairs(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(",").map((pair) => {
    const [key = "", ...value] = pair.split("=");
    return [decode(key.trim()), decode(value.join("=").trim())];
  });
  return Object.fromEntries(pairs.filter(([key, value]) => key && value));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
