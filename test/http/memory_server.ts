import { currentRuntime } from "../../src/runtime/mod.ts";
import type { SenderOptions, Server } from "../../src/runtime/runtime.ts";
import { type MemoryApp, memoryApp } from "./memory_app.ts";
import { RawSocket } from "./raw_socket.ts";

/** A MemoryApp that listens on this runtime's own server. */
export interface MemoryServer extends MemoryApp {
  readonly server: Server;
  /** The failures that the runtime reported beside responses. */
  readonly reported: readonly unknown[];
  open(): RawSocket;
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** Starts one on a free port; whoever starts it stops it. */
export function memoryServer(
  { idleTimeoutSeconds = 60, transferWatch }: Partial<Pick<SenderOptions, "idleTimeoutSeconds" | "transferWatch">> = {},
): MemoryServer {
  const runtime = currentRuntime();
  const reported: unknown[] = [];
  const made = memoryApp(runtime.createSender({ idleTimeoutSeconds, transferWatch }), { transferWatch });
  const server = runtime.serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds,
    exactPaths: made.app.exactPaths,
    fetch: made.app.fetch,
    endlessRequests: () => made.app.endlessRequests(),
    onError: (error) => reported.push(error),
  });
  const { port } = server.address;
  return {
    ...made,
    server,
    reported,
    open: () => new RawSocket(port),
    fetch: (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init),
  };
}
