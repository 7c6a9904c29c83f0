import { resolve } from "node:path";
import { VitrineError } from "../core/errors.ts";
import { FileAdapter } from "./file.ts";
import { ReopeningAdapter } from "./file/reopening.ts";
import type { TierPlan } from "./kind.ts";
import type { TierUrl } from "./url.ts";

/** `file:///abs`, `file://./rel` or `file:rel`. Parameters: `max` (size limit, default a share of the disk), `fsync` (on | off, default on). */
export function planFileUrl(url: TierUrl): TierPlan {
  if (url.path === "") throw new VitrineError("bad_request", "Reading an L2 URL: file: needs a folder");
  const limitBytes = url.takeBytes("max");
  const sync = url.takeSwitch("fsync", true);
  url.finish();
  const folder = resolve(url.path);
  return {
    folder,
    async open(context) {
      // Made at the start only: what somebody took away from a running server may be a file system that is to come back.
      const open = (mayMake: boolean): Promise<FileAdapter> =>
        FileAdapter.open({ ...context, path: folder, limitBytes, sync, mayMake });
      return new ReopeningAdapter(await open(true), { ...context, open: () => open(false) });
    },
  };
}
