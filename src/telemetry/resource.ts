import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { OtelEnv } from "./env.ts";

const ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES";

/**
 * Who sends the telemetry: service.name, service.version, service.instance.id, and what OTEL_RESOURCE_ATTRIBUTES adds
 * or overrides (comma-separated key=value, percent-encoded). OTEL_SERVICE_NAME wins over both.
 */
export function resourceOf(
  env: OtelEnv,
  defaults: { readonly version: string; readonly instanceId: string },
): Resource {
  const serviceName = env.text("OTEL_SERVICE_NAME");
  return resourceFromAttributes({
    "service.name": "vitrine",
    "service.version": defaults.version,
    "service.instance.id": defaults.instanceId,
    ...attributesOf(env),
    ...(serviceName === undefined ? {} : { "service.name": serviceName }),
  });
}

/** Malformed pairs are left out and noted. */
function attributesOf(env: OtelEnv): Readonly<Record<string, string>> {
  const pairs = (env.text(ATTRIBUTES) ?? "").split(",").filter((pair) => pair.trim() !== "").map((pair) => {
    const [key = "", ...value] = pair.split("=");
    return [decode(key.trim()), decode(value.join("=").trim())] as const;
  });
  const sound = pairs.filter(([key, value]) => key && value);
  if (sound.length < pairs.length) {
    env.cannotUse(ATTRIBUTES, `the ${sound.length} of ${pairs.length} pairs that are key=value`);
  }
  return Object.fromEntries(sound);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
