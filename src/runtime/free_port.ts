import { once } from "node:events";
import { createServer } from "node:net";

/**
 * The port that workers may share, 0 standing for any free one. Throws EADDRINUSE if it is taken: workers themselves
 * would not notice, since whoever else shares ports there would silently get a part of the connections.
 */
export async function freePort(host: string, port: number): Promise<number> {
  const probe = createServer().listen({ host, port, exclusive: true });
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error(`find a free port: ${port}`);
  return address.port;
}
