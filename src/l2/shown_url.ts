import { statfsSync } from "node:fs";
import { resolve } from "node:path";
import { formatSize } from "../core/size.ts";
import { defaultLimitBytes } from "./file/store/free_space.ts";
import { TierUrl } from "./url.ts";

/** A tier's URL as the start line shows it: with the default limit, if a file tier has no `max`. */
export function shownUrl(url: string): string {
  const tier = new TierUrl(url);
  if (tier.scheme !== "file:" || tier.take("max") !== undefined) return url;
  try {
    const { blocks, bsize } = statfsSync(resolve(tier.path));
    return blocks === 0 ? url : `${url} (max=${formatSize(defaultLimitBytes(blocks * bsize))}, 4/5 of the disk)`;
  } catch {
    return url;
  }
}
