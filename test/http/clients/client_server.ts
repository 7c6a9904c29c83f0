import type { TokenRights } from "../../../src/access/tokens.ts";
import { currentRuntime } from "../../../src/runtime/mod.ts";
import { type MemoryApp, memoryApp } from "../memory_app.ts";
import { testToken } from "../tokens.ts";

/** Sends `METHOD /path` with a body, and with the token and the header fields given. */
export type Ask = (
  target: string,
  options?: {
    readonly token?: ReturnType<typeof testToken>;
    readonly body?: BodyInit;
    readonly headers?: Readonly<Record<string, string>>;
  },
) => Promise<Response>;

/** A server with tokens on a socket. */
export interface ClientServer extends MemoryApp {
  readonly ask: Ask;
  /** The route, method and status of each request that has ended, and how many there were. */
  ended(): Readonly<Record<string, number>>;
  stop(): Promise<unknown>;
}

/** A token of the tenant `team` with rights to read, write and delete, unless told otherwise. */
export function clientToken(id: string, rights: Partial<TokenRights> = {}): ReturnType<typeof testToken> {
  return testToken(id, { scopes: ["read", "write", "delete"], tenant: "team", ...rights });
}

/** Starts one on a free port; whoever starts it stops it. Requests have the first token unless told otherwise. */
export function clientServer(
  tokens: readonly ReturnType<typeof testToken>[],
  options: Parameters<typeof memoryApp>[1] = {},
): ClientServer {
  const runtime = currentRuntime();
  const made = memoryApp(runtime.createSender({ idleTimeoutSeconds: 60 }), {
    tokens: tokens.map(({ entry }) => entry),
    ...options,
  });
  const server = runtime.serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 60,
    exactPaths: made.app.exactPaths,
    fetch: made.app.fetch,
    onError: (error) => {
      throw error;
    },
  });
  return {
    ...made,
    ask(target, { token = tokens[0], body, headers } = {}) {
      const [method = "", path = ""] = target.split(" ");
      return fetch(`http://127.0.0.1:${server.address.port}${path}`, {
        method,
        headers: { ...token?.bearer, ...headers },
        ...(body === undefined ? {} : { body }),
        ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
      });
    },
    ended() {
      const counts: Record<string, number> = {};
      for (const end of made.events.named("http.request.end")) {
        if (!("route" in end && "method" in end && "status" in end)) continue;
        const name = [end.method, end.route, end.status].join(" ");
        counts[name] = (counts[name] ?? 0) + 1;
      }
      return counts;
    },
    stop: () => server.stop(),
  };
}

/** Status and text of an answer. */
export async function textOf(answer: Promise<Response>): Promise<readonly [number, string]> {
  const response = await answer;
  return [response.status, await response.text()];
}
