import { afterAll, expect, test } from "bun:test";
import { type RunningCluster, startCluster } from "../../src/compose/cluster.ts";
import type { RunningServer, ServerOptions } from "../../src/compose/server.ts";
import { startSingle } from "../../src/compose/single.ts";
import { LIVE_LIMITS } from "../../src/events/live/live_feed.ts";
import { refusal } from "../http/contract_client.ts";
import { RawSocket } from "../http/raw_socket.ts";
import { EventStream } from "../support/event_stream.ts";
import { parsePrometheusText } from "../support/prometheus_text.ts";
import { until } from "../support/until.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const errors: unknown[] = [];

function options(...args: readonly string[]): ServerOptions {
  return serverOptions([...TWO_WORKERS, "--l1-size", "8MiB", "--l2", "none", ...args], { errors });
}

const urlOf = ({ address }: Pick<RunningServer, "address">) => `http://127.0.0.1:${address.port}`;
const adminUrlOf = ({ adminAddress }: Pick<RunningCluster, "adminAddress">) => urlOf({ address: adminAddress });

/** Every port of a server. */
function portsOf(server: RunningServer | RunningCluster): readonly string[] {
  return "adminAddress" in server ? [urlOf(server), adminUrlOf(server)] : [urlOf(server)];
}

/** A connection of its own each time, so that the kernel picks the worker anew. */
function visit(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...Object.fromEntries(new Headers(init.headers)), connection: "close" };
  return fetch(url, { ...init, headers });
}

async function listen(url: string, query = ""): Promise<EventStream> {
  const response = await visit(`${url}/v1/events${query}`);
  if (response.status !== 200) throw new Error(`listen: ${response.status} ${await response.text()}`);
  const stream = new EventStream(response);
  await stream.line();
  return stream;
}

/** Resolves when so many streams are open. */
function streams(url: string, count: number): Promise<void> {
  return until(async () => (await (await visit(`${url}/status`)).json()).event_streams === count);
}

const cluster = await startCluster(options());
const single = await startSingle(options());
const servers = [["two workers", cluster], ["one isolate", single]] as const;

afterAll(async () => {
  await Promise.all([cluster.stop(), single.stop()]);
});

test("GET /v1/events shows every write of every worker, exactly counted, whichever worker or port it is opened on", async () => {
  const query = "?type=l1.write.finished&tenant=seen";
  const urls = [...Array.from({ length: 5 }, () => urlOf(cluster)), adminUrlOf(cluster)];
  const opened = await Promise.all(urls.map((url) => listen(url, query)));
  const sizes = Array.from({ length: 12 }, (_, i) => i + 1);
  for (const tenant of ["seen", "other"]) {
    for (const size of sizes) {
      const init = { method: "PUT", body: "x".repeat(size), headers: { "vitrine-tenant": tenant } };
      await (await visit(`${urlOf(cluster)}/v1/objects/k${size}`, init)).text();
    }
  }
  for (const stream of opened) {
    const seen: number[] = [];
    while (seen.length < sizes.length) {
      const record = await stream.next();
      expect([record["tenant"], record["folded"], record.count]).toEqual(["seen", false, 1]);
      seen.push(Number(record["bytes"]));
    }
    await stream.leave();
    expect(seen.toSorted((a, b) => a - b)).toEqual(sizes);
  }
  await streams(adminUrlOf(cluster), 0);
});

for (const [name, server] of servers) {
  test(`${name}: a listener is forgotten when its client goes away without a word`, async () => {
    const sockets = Array.from({ length: 4 }, () => new RawSocket(server.address.port));
    for (const socket of sockets) {
      socket.write("GET /v1/events?type=timeout.raised HTTP/1.1\r\nHost: localhost\r\n\r\n");
      expect((await socket.head()).status).toBe(200);
    }
    await streams(urlOf(server), sockets.length);
    for (const socket of sockets) socket.destroy();
    await streams(urlOf(server), 0);
  });

  test(`${name}: GET /v1/events answers 503 with Retry-After when as many streams are open as may be`, async () => {
    const opened: EventStream[] = [];
    while (opened.length < LIVE_LIMITS.listeners) opened.push(await listen(urlOf(server), "?type=timeout.raised"));
    const response = await visit(`${urlOf(server)}/v1/events`);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await refusal(response)).toEqual([503, "/problems/too-many-listeners"]);
    await opened.pop()?.leave();
    await streams(urlOf(server), LIVE_LIMITS.listeners - 1);
    opened.push(await listen(urlOf(server), "?type=timeout.raised"));
    await Promise.all(opened.map((stream) => stream.leave()));
    await streams(urlOf(server), 0);
  });

  test(`${name}: a stream counts as one complete request when its client has left`, async () => {
    const before = await requests(urlOf(server));
    await (await listen(urlOf(server), "?type=timeout.raised")).leave();
    await streams(urlOf(server), 0);
    let after = before;
    while (after.total === before.total) after = await requests(urlOf(server));
    expect(after).toEqual({ total: before.total + 1, aborted: before.aborted });
  });
}

async function requests(url: string): Promise<{ readonly total: number; readonly aborted: number }> {
  const samples = parsePrometheusText(await (await visit(`${url}/metrics`)).text())
    .filter(({ labels }) => labels["http_route"] === "/v1/events");
  const sum = (name: string) =>
    samples.filter((sample) => sample.name === name).reduce((total, { value }) => total + value, 0);
  return { total: sum("http_server_request_duration_seconds_count"), aborted: sum("vitrine_http_aborted_total") };
}

for (
  const [name, start] of [["two workers", startCluster], ["one isolate", startSingle]] as const
) {
  test(`${name}: a stop ends the streams and waits for none when some are open`, async () => {
    const server = await start(options());
    const urls = [...portsOf(server), ...portsOf(server)];
    const opened = await Promise.all(urls.map((url) => listen(url, "?type=timeout.raised")));
    const stopped = server.stop();
    for (const stream of opened) expect(await stream.line()).toBeUndefined();
    await stopped;
  });

  test(`${name}: GET /v1/events answers 404 that says why when observability is off`, async () => {
    const server = await start(options("--observability", "off"));
    const response = await visit(`${urlOf(server)}/v1/events`);
    expect(await response.clone().text()).toContain("observability is off");
    expect(await refusal(response)).toEqual([404, "/problems/not-found"]);
    await server.stop();
  });
}

test("a worker's listeners are forgotten when its thread dies", async () => {
  const doomed = await startCluster(options());
  const opened = [];
  for (let i = 0; i < 8; i++) opened.push(await listen(urlOf(doomed), "?type=timeout.raised"));
  await streams(adminUrlOf(doomed), 8);
  for (const slot of [0, 1]) await doomed.supervisor.kill(slot);
  await streams(adminUrlOf(doomed), 0);
  await doomed.stop();
});

test("live events reported no error when all of this has run", () => {
  expect(errors).toEqual([]);
});
