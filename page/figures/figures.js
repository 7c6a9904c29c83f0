// @ts-check
import { busOf } from "./bus.js";
import { commitsOf } from "./commits.js";
import { missesOf } from "./misses.js";
import { removalsOf } from "./removals.js";
import { serverOf } from "./server.js";
import { tenantsOf } from "./tenants.js";
import { tiersOf } from "./tiers.js";
import { trafficOf } from "./traffic.js";

/** @typedef {import("../metrics/metrics_window.js").View} View */
/** @typedef {ReturnType<typeof figuresOf>} Figures */

/**
 * All that the page shows.
 * @param {View} view
 */
export function figuresOf(view) {
  return {
    server: serverOf(view),
    traffic: trafficOf(view),
    tiers: tiersOf(view),
    commits: commitsOf(view),
    misses: missesOf(view),
    removals: removalsOf(view),
    tenants: tenantsOf(view),
    bus: busOf(view),
  };
}
