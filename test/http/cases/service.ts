import { expect } from "bun:test";
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { type ContractCase, pattern, refusal } from "../contract_client.ts";

/** What is not about objects: health, status, the specification, unknown paths and methods, the events of a request. */
export const serviceCases: readonly ContractCase[] = [
  {
    name: "GET /healthz answers 200 when the server runs",
    async run(client) {
      expect(await (await client.fetch("/healthz")).text()).toBe("ok\n");
    },
  },
  {
    name: "GET /readyz answers 503 and why when the server is not ready",
    needs: ["setReady"],
    async run(client) {
      expect((await client.fetch("/readyz")).status).toBe(200);
      client.fixture.setReady?.(false);
      const refused = await client.fetch("/readyz");
      expect([refused.status, await refused.text()]).toEqual([503, "not ready: on purpose\n"]);
      client.fixture.setReady?.(true);
    },
  },
  ...["/status", "/config", "/version"].map((path): ContractCase => ({
    name: `GET ${path} answers an object of JSON`,
    async run(client) {
      const response = await client.fetch(path);
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
      expect(typeof await response.json()).toBe("object");
    },
  })),
  {
    name: "GET /metrics answers Prometheus text",
    async run(client) {
      const response = await client.fetch("/metrics");
      expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(await response.text()).toMatch(/^# HELP /);
    },
  },
  ...([
    [{}, null],
    [{ "accept-encoding": "br, GZIP" }, "gzip"],
    [{ "accept-encoding": "gzip;q=0.2, identity;q=0.1" }, "gzip"],
    [{ "accept-encoding": "gzip;q=0, *" }, null],
    [{ "accept-encoding": "gzip;q=0.1, identity" }, null],
    [{ "accept-encoding": "*;q=0, gzipped" }, null],
  ] as const).map(([headers, coding]): ContractCase => ({
    name: `GET /metrics is ${coding ?? "not compressed"} when the request has ${JSON.stringify(headers)}`,
    async run(client) {
      const plain = await client.fetch("/metrics", { headers: { "accept-encoding": "identity" } });
      const response = await client.fetch("/metrics", { headers: { "accept-encoding": "identity", ...headers } });
      expect(response.headers.get("vary")).toBe("Accept-Encoding");
      // The client's fetch decodes a body that comes over a socket.
      const coded = response.headers.get("content-encoding");
      expect(coded).toBe(coding);
      const body = Buffer.from(await response.arrayBuffer());
      const decoded = coded === "gzip" && body[0] === 0x1f ? gunzipSync(body) : body;
      expect(decoded.toString().split("\n")[0]).toBe((await plain.text()).split("\n")[0]);
    },
  })),
  {
    name: "GET /openapi.json describes every route when it is read",
    async run(client) {
      const spec = await (await client.fetch("/openapi.json")).json();
      expect(spec.openapi).toMatch(/^3\.1/);
      expect(Object.keys(spec.paths["/v1/objects/{key}"]).toSorted()).toEqual(["delete", "get", "put"]);
      expect(Object.keys(spec.paths)).toContain("/openapi.json");
      expect(Object.keys(spec.paths).filter((path) => path.startsWith("/v1/tier"))).toEqual([]);
      const { parameters, responses } = spec.paths["/v1/objects"].get;
      expect(parameters.map(({ name }: { name: string }) => name)).toEqual(["tier", "prefix", "limit", "cursor"]);
      expect(responses["200"].content["application/json"].schema.properties.objects.type).toBe("array");
      expect(Object.keys(responses["400"].content)).toEqual(["application/problem+json"]);
      const clearing = spec.paths["/v1/objects"].delete;
      expect(clearing.parameters[0]).toMatchObject({ name: "clear", required: true, schema: { const: "all" } });
      expect(Object.keys(clearing.responses["400"].content)).toEqual(["application/problem+json"]);
      expect(spec.paths["/v1/events"].get.security).toEqual([{}, { bearer: [] }, { basic: [] }]);
      expect(Object.keys(spec.paths["/v1/events"].get.responses)).toContain("401");
      expect(spec.paths["/healthz"].get.security).toBeUndefined();
      expect(spec.components.securitySchemes).toMatchObject({
        bearer: { type: "http", scheme: "bearer" },
        basic: { type: "http", scheme: "basic" },
      });
    },
  },
  {
    name: "GET /docs is a page that loads nothing from elsewhere",
    async run(client) {
      const response = await client.fetch("/docs");
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
      const page = await response.text();
      expect(page).toMatch(/^<!doctype html>/);
      expect(page).not.toMatch(/(?:src|href)="?(?:https?:)?\/\//);
    },
  },
  ...["/nope", "/v1", "/v1/object/a", "/V1/objects/a", "/healthz/", "//v1/objects/a"].map((path): ContractCase => ({
    name: `GET ${path} answers 404 as a problem`,
    async run(client) {
      expect(await refusal(await client.fetch(path))).toEqual([404, "/problems/not-found"]);
    },
  })),
  ...[
    ["POST", "/v1/objects/a", "GET, HEAD, PUT, DELETE"],
    ["PATCH", "/v1/objects/a", "GET, HEAD, PUT, DELETE"],
    ["PUT", "/v1/objects", "GET, HEAD, DELETE"],
    ["DELETE", "/healthz", "GET, HEAD"],
    ["OPTIONS", "/metrics", "GET, HEAD"],
  ].map(([method = "", path = "", allow = ""]): ContractCase => ({
    name: `${method} ${path} answers 405 with Allow`,
    async run(client) {
      const response = await client.fetch(path, { method });
      expect(response.headers.get("allow")).toBe(allow);
      expect(await refusal(response)).toEqual([405, "/problems/method-not-allowed"]);
    },
  })),
  {
    name: "PUT and GET publish start and end with exact bytes when they complete",
    needs: ["events"],
    async run(client) {
      const { events } = client;
      for (const bytes of [0, 1000, client.fixture.limits.copyLimitBytes + 1]) {
        events.clear();
        const put = await client.put("a", pattern(bytes));
        await (await client.get("a")).arrayBuffer();
        const shared = { route: "/v1/objects/{key}", outcome: "complete" };
        expect(await events.requestEnd("PUT"))
          .toMatchObject({
            ...shared,
            method: "PUT",
            status: String(put.status),
            requestBytes: bytes,
            responseBytes: 0,
          });
        const end = await events.requestEnd("GET");
        expect(end).toMatchObject({ ...shared, method: "GET", status: "200", requestBytes: 0, responseBytes: bytes });
        expect(end.seconds).toBeGreaterThanOrEqual(0);
        expect([events.count("http.request.start"), events.count("http.request.end")]).toEqual([2, 2]);
      }
    },
  },
  {
    name: "GET publishes the bytes of the part when a range is read, and none for 304 and HEAD",
    needs: ["events"],
    async run(client) {
      const { events } = client;
      const etag = await client.create("a", pattern(1000));
      const end = async (method: string, headers: Record<string, string>) => {
        events.clear();
        await (await client.object(method, "a", { headers })).arrayBuffer();
        const { status, responseBytes } = await events.requestEnd(method);
        return [status, responseBytes];
      };
      expect(await end("GET", { range: "bytes=10-19" })).toEqual(["206", 10]);
      expect(await end("GET", { "if-none-match": etag })).toEqual(["304", 0]);
      expect(await end("HEAD", {})).toEqual(["200", 0]);
    },
  },
  ...["POST", "PATCH", "OPTIONS", "PROPFIND"].map((method): ContractCase => ({
    name: `${method} is counted under the route _other on every path that does not have it`,
    needs: ["events"],
    async run(client) {
      for (const path of ["/v1/objects/a", "/v1/objects", "/healthz", "/metrics", "/page/x"]) {
        client.events.clear();
        expect((await client.fetch(path, { method })).status).toBe(405);
        const labels = { route: "_other", method: method === "PROPFIND" ? "_OTHER" : method };
        expect(await client.events.requestEnd(labels.method)).toMatchObject({ ...labels, status: "405" });
      }
    },
  })),
  {
    name: "GET publishes the route _other and the bytes of the problem when the path is unknown",
    needs: ["events"],
    async run(client) {
      client.events.clear();
      const body = await (await client.fetch("/some/where")).text();
      expect(await client.events.requestEnd("GET"))
        .toMatchObject({ route: "_other", status: "404", responseBytes: body.length });
    },
  },
];
