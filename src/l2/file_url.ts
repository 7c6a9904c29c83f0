import { resolve } from "node:path";
import { VitrineError } from "../core/errors.ts";
import type { L2Adapter } from "./adapter.ts";
import { openOwnFolder } from "./file.ts";
import type { TierContext } from "./kind.ts";
import type { TierUrl } from "./url.ts";

/** Opens `file:///abs`, `file://./rel` or `file:rel`. Parameters: `max` (size limit, default none), `fsync` (on | off, default on). */
export function openFileUrl(url: TierUrl, context: TierContext): L2Adapter {
  if (url.path === "") throw new VitrineError("bad_request", "Reading an L2 URL: file: needs a folder");
  const limitBytes = url.takeBytes("max", 0);
  const sync = url.takeSwitch("fsync", true);
  url.finish();
  return openOwnFolder({ ...context, path: resolve(url.path), limitBytes, sync }).adapter;
}
