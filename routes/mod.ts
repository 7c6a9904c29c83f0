import { accessRoutes, healthRoutes, metricsRoutes, statusRoutes } from "./status.ts";
import type { AdminOptions, AppOptions } from "./app_options.ts";
import { type App, buildApp } from "./build_app.ts";
import { eventRoutes } from "./events.ts";
import { objectListRoutes } from "./objects/object_list.ts";
import { objectRoutes } from "./objects/objects.ts";
import { openapiRoutes } from "./openapi.ts";
import { type PagePort, pageRoutes } from "./page.ts";
import type { Route } from "./route.ts";
export type { AdminOptions, App, AppOptions };

/** What tells how the server is: on every port. */
function adminRoutes(options: AdminOptions, port: PagePort): readonly Route[] {
  return [
    ...healthRoutes(options),
    ...statusRoutes(options),
    ...metricsRoutes(options),
    ...eventRoutes(options),
    ...accessRoutes(options),
    ...pageRoutes(port),
  ];
}

/** The whole interface: one line for each group of routes. */
export function createApp(options: AppOptions): App {
  const routes = [...objectRoutes(options), ...objectListRoutes(options), ...adminRoutes(options, "service")];
  return buildApp([...routes, ...openapiRoutes(options, routes)], options);
}

/** The interface of the admin port: no objects. */
export function createAdminApp(options: AdminOptions): App {
  return buildApp(adminRoutes(options, "admin"), options);
}
