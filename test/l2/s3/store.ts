import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";

/** A request that a fake store was asked. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** A response of a fake store; "cut" ends the connection. */
export type Told = {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
} | "cut";

/** The body of an error. */
export function errorBody(code: string, message = "…"): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
}

/** Runs a fake HTTP server that answers each request with the next of its responses, and again with the last. */
export async function withStore(
  answers: readonly [Told, ...Told[]] | ((asked: Asked) => Told),
  body: (given: { readonly url: string; readonly asked: readonly Asked[] }) => Promise<void>,
): Promise<void> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const { method = "", url: path = "", headers } = request;
    asked.push({ method, path, headers });
    const told = typeof answers === "function"
      ? answers({ method, path, headers })
      : answers[Math.min(asked.length, answers.length) - 1] ?? "cut";
    request.resume();
    request.on("end", () => {
      if (told === "cut") request.socket.destroy();
      else response.writeHead(told.status, { connection: "close", ...told.headers }).end(told.body ?? "");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("fake store: no port");
  try {
    await body({ url: `http://127.0.0.1:${address.port}`, asked });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
