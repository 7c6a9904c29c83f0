import type { Hono } from "hono";
import type { AppOptions } from "../app_options.ts";
import type { Env } from "../exchange.ts";
import { nxRoutes } from "./nx.ts";
import { turborepoRoutes } from "./turborepo.ts";
import { unstorageRoutes } from "./unstorage.ts";
import { webdavRoutes } from "./webdav.ts";

/** The interfaces of clients that have a protocol of their own (docs/CLIENTS.md). */
export function clientRoutes(options: AppOptions): readonly Hono<Env>[] {
  return [turborepoRoutes(options), nxRoutes(options), webdavRoutes(options), unstorageRoutes(options)];
}
