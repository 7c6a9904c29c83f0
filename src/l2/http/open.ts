import { readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { VitrineError } from "../../core/errors.ts";
import { Health } from "../health.ts";
import { stateReport } from "../reports.ts";
import type { TierContext } from "../url.ts";
import { HttpAdapter } from "./adapter.ts";
import { Central } from "./central.ts";
import type { HttpSettings } from "./settings.ts";

/** Milliseconds for which a start waits for the other server before it continues without it. */
const PATIENCE_MS = 2000;
/**
 * Milliseconds until the next probe when the servers behind have changed: those in a ring learn of each other one
 * server farther with each probe.
 */
const SETTLE_MS = 500;

/** Opens a tier; succeeds even if the other server does not answer. */
export async function openHttp(
  settings: HttpSettings,
  { name, publish, clock, serverId, onRemoved }: TierContext,
): Promise<HttpAdapter> {
  const central = new Central({
    settings,
    serverId,
    token: () => tokenOf(settings),
    onFailed: () => health.check(),
    onChanged: () => void setTimeout(() => health.check(), SETTLE_MS).unref(),
  });
  const health = new Health({
    probe: () => central.probe(),
    onTrouble: stateReport({ name, publish }),
  });
  await Promise.race([health.answered, wait(PATIENCE_MS, undefined, { ref: false })]);
  return new HttpAdapter({ name, central, health, settings, publish, clock, onRemoved });
}

/** Reads the token, which may change while the server runs; "" if there is none. Throws tier_failed. */
function tokenOf({ token }: HttpSettings): string {
  if (token === undefined) return "";
  if ("variable" in token) {
    const value = process.env[token.variable] ?? "";
    if (value === "") throw new VitrineError("tier_failed", `read token: variable ${token.variable} is not set`);
    return value;
  }
  try {
    return readFileSync(token.file, "utf8").trim();
  } catch (cause) {
    throw new VitrineError("tier_failed", `read token: ${token.file}`, { cause });
  }
}
