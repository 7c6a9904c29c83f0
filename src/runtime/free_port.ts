import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Finds a port that workers can share; 0 picks a free one. Throws EADDRINUSE if the port is in use. Workers would not
 * notice that themselves: another process that shares the port would silently get part of the connections.
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
