import { addStateRoutes } from "./admin_app.ts";
import { type App, buildApp } from "./app.ts";
import type { AppOptions } from "./app_options.ts";
import { leaseRoutes } from "./batch/leases.ts";
import { lookupRoutes } from "./batch/lookup.ts";
import { batchRoutes } from "./batch/routes.ts";
import { clientRoutes } from "./clients/routes.ts";
import { ARTIFACT_STATUS } from "./clients/turborepo.ts";
import { lmcacheRoutes } from "./lmcache.ts";
import { listRoutes } from "./objects/list.ts";
import { fastObjectRoutes, objectRoutes } from "./objects/objects.ts";
import { openapiRoutes } from "./openapi.ts";
import { prefetchRoutes } from "./prefetch.ts";
import { quotaRoutes } from "./quotas.ts";
import { s3Routes } from "./s3/routes.ts";
import { tierRoutes } from "./tier/routes.ts";

/** The interface of the service port. */
export function createApp(options: AppOptions): App {
  const fast = fastObjectRoutes(options);
  return buildApp(options, {
    fast,
    namedPaths: [ARTIFACT_STATUS],
    s3Hosts: options.s3.hosts,
    addRoutes(app) {
      app.route("/", objectRoutes(options, fast));
      app.route("/", listRoutes(options));
      app.route("/", batchRoutes(options));
      app.route("/", lookupRoutes(options));
      app.route("/", leaseRoutes(options));
      app.route("/", prefetchRoutes(options));
      app.route("/", quotaRoutes(options));
      app.route("/", lmcacheRoutes(options));
      app.route("/", s3Routes(options));
      for (const routes of clientRoutes(options)) app.route("/", routes);
      app.route("/", tierRoutes(options));
      addStateRoutes(app, options, "service");
      app.route("/", openapiRoutes(options, app));
    },
  });
}
