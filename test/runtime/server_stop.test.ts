import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { servePlainly } from "../../src/runtime/deno_plain_server.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { RawSocket } from "../http/raw_socket.ts";

/** A server whose responses are endless until the test ends them, in the order of the requests. */
function serve(make: Runtime["serve"], isEndless: (path: string) => boolean) {
  const ends: (() => void)[] = [];
  const endless = new Set<string>();
  let pulls = 0;
  const server = make({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 255,
    endlessRequests: () => endless.size,
    endlessPatienceMs: 0,
    onError() {},
    fetch(request) {
      const path = new URL(request.url).pathname;
      if (isEndless(path)) endless.add(path);
      let ended = false;
      ends.push(() => ended = true);
      return new Response(
        new ReadableStream({
          pull(controller) {
            pulls++;
            controller.enqueue(new Uint8Array(64 * 1024));
            if (!ended) return;
            endless.delete(path);
            controller.close();
          },
          cancel: () => void endless.delete(path),
        }, { highWaterMark: 0 }),
      );
    },
  });
  const open = async (path: string) => {
    const socket = new RawSocket(server.address.port).write(`GET ${path} HTTP/1.1\r\nHost: vitrine\r\n\r\n`);
    const { headers } = await socket.head();
    return { socket, headers };
  };
  /** Resolves when the stream stalls because the client's buffers are full. */
  const stalled = async () => {
    for (let before = -1, still = 0; still < 1000; still = before === pulls ? still + 1 : 0) {
      before = pulls;
      await setImmediate();
    }
  };
  return { server, ends, open, stalled };
}

const runtime = currentRuntime();
const servers: readonly (readonly [string, Runtime["serve"]])[] = [
  ["Server", (options) => runtime.serve(options)],
  // The server for a Deno without serveHttpOnConnection.
  ...(runtime.name === "deno" ? [["Deno.serve", servePlainly] as const] : []),
];

for (const [name, make] of servers) {
  test(`${name}.stop closes an endless response when nothing else is in flight and its client does not read`, async () => {
    const { server, open, stalled } = serve(make, () => true);
    const { socket } = await open("/a");
    await stalled();
    await server.stop();
    await socket.closed();
  });

  test(`${name}.stop waits for a finite response when there is an endless one too`, async () => {
    const { server, ends, open, stalled } = serve(make, (path) => path === "/endless");
    const endless = await open("/endless");
    const download = await open("/download");
    await stalled();
    let isStopped = false;
    const stopped = server.stop().then(() => isStopped = true);
    await stalled();
    expect(isStopped).toBe(false);
    ends[1]?.();
    const body = await download.socket.body(download.headers);
    expect(body.byteLength).toBeGreaterThan(64 * 1024);
    download.socket.destroy();
    await stopped;
    await endless.socket.closed();
  });

  test(`${name}.stop aborts a request and counts it at the deadline`, async () => {
    const { server, open, stalled } = serve(make, () => false);
    const { socket } = await open("/a");
    await stalled();
    expect(await server.stop({ patienceMs: 20 })).toBe(1);
    await socket.closed();
  });

  test(`${name}.stop aborts nothing when everything ends in time`, async () => {
    const { server, ends, open } = serve(make, () => false);
    const { socket } = await open("/a");
    const stopping = server.stop({ patienceMs: 60_000 });
    for (const end of ends) end();
    await socket.closed();
    expect(await stopping).toBe(0);
  });
}
