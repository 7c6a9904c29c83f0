import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { faultOf } from "./faults.ts";

const CLEAN = "clean";
/** Noted where no boot id can be read; it is believed by nobody. */
const UNKNOWN_BOOT = "running";

/**
 * Whether the index that the last run left behind can be believed. It is written without fsync, so it is sound after a clean stop (which syncs it)
 * and after kill -9 (the kernel still has the pages), but not after the machine went down under a running server: then the boot id has changed.
 */
export function isIndexTrusted(statePath: string): boolean {
  const last = readOr(statePath, "");
  return last === CLEAN || (last !== "" && last === bootId());
}

/** Notes, durably, that a server is running since this boot. */
export function markRunning(statePath: string): void {
  const state = bootId() || UNKNOWN_BOOT;
  if (readOr(statePath, "") !== state) replaceDurably(statePath, state);
}

/** Notes, durably, that the index was closed and synced. */
export function markClean(statePath: string): void {
  replaceDurably(statePath, CLEAN);
}

function bootId(): string {
  return readOr("/proc/sys/kernel/random/boot_id", "").trim();
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return fallback;
  }
}

function replaceDurably(path: string, text: string): void {
  const temp = `${path}.new`;
  try {
    syncAndClose(openSync(temp, "w"), text);
    renameSync(temp, path);
  } catch (error) {
    if (faultOf(error) !== "full") throw error;
    rmSync(temp, { force: true });
    // On a full disk in place, where it needs no more room. Torn by a power loss, it is neither word, and the index is built again.
    syncAndClose(openSync(path, "r+"), text);
  }
  syncAndClose(openSync(dirname(path), "r"));
}

function syncAndClose(descriptor: number, text?: string): void {
  try {
    if (text !== undefined) {
      writeSync(descriptor, text, 0);
      ftruncateSync(descriptor, Buffer.byteLength(text));
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
