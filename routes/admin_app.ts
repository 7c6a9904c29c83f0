import type { Hono } from "hono";
import { type App, buildApp } from "./app.ts";
import type { AdminOptions } from "./app_options.ts";
import { eventRoutes } from "./events.ts";
import type { Env } from "./exchange.ts";
import { type PagePort, pageRoutes } from "./page.ts";
import { accessRoutes, healthRoutes, metricsRoutes, statusRoutes } from "./status.ts";

/** The interface of the admin port: no objects. */
export function createAdminApp(options: AdminOptions): App {
  return buildApp(options, { addRoutes: (app) => addStateRoutes(app, options, "admin") });
}

/** The state of the server, on both ports. */
export function addStateRoutes(app: Hono<Env>, options: AdminOptions, port: PagePort): void {
  app.route("/", healthRoutes(options));
  app.route("/", statusRoutes(options));
  app.route("/", metricsRoutes(options));
  app.route("/", eventRoutes(options));
  app.route("/", accessRoutes(options));
  app.route("/", pageRoutes(port));
}
