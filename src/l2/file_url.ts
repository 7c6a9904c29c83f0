import { resolve } from "node:path";
import { VitrineError } from "../core/errors.ts";
import { FileAdapter } from "./file.ts";
import type { TierPlan } from "./kind.ts";
import type { TierUrl } from "./url.ts";

/** `file:///abs`, `file://./rel` or `file:rel`. Parameters: `max` (size limit, default none), `fsync` (on | off, default on). */
export function planFileUrl(url: TierUrl): TierPlan {
  if (url.path === "") throw new VitrineError("bad_request", "Reading an L2 URL: file: needs a folder");
  const limitBytes = url.takeBytes("max", 0);
  const sync = url.takeSwitch("fsync", true);
  url.finish();
  const folder = resolve(url.path);
  return { folder, open: (context) => FileAdapter.open({ ...context, path: folder, limitBytes, sync }) };
}
