import { Client } from "../support/http/client.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";

/**
 * Two servers over one bucket are asked to create the same keys at the same moment, small ones and large ones that
 * stream past L1: one of them answers 201, the other 412, and both serve what was created. Then they replace what they
 * have seen, which one of them may.
 */
export async function createOnce({ runtime, checks }: SuiteRun, l2: string): Promise<void> {
  const flags = { workers: "1", "l1-size": "16MiB", l2, write: "through" };
  const servers = await Promise.all([0, 1].map(() => ServerProcess.start({ runtime, flags })));
  // Reads a refusal that comes before the whole body is sent.
  const clients = servers.map(({ address }) => new Client(address, new Ledger()));
  const bodyOf = (server: number, size: number): Uint8Array<ArrayBuffer> => new Uint8Array(size).fill(server + 1);
  const keys = Array.from({ length: 24 }, (_, n) => `create/${n}`);
  await inParallel(keys, 2, async (key) => {
    const size = Number(key.split("/")[1]) % 6 === 5 ? 9_000_000 : 1000;
    const path = objectPath(key);
    const putAll = (headers: Readonly<Record<string, string>>): Promise<readonly number[]> =>
      Promise.all(clients.map(async (client, n) => {
        return (await client.request({ method: "PUT", path, headers, body: bodyOf(n, size) })).status;
      }));
    const created = await putAll({ "if-none-match": "*" });
    checks.equal(`${key} is created once`, { actual: created.toSorted(ascending), expected: [201, 412] });
    const winner = created.indexOf(201);
    let etag = "";
    for (const client of clients) {
      const { status, headers, body } = await client.request({ method: "GET", path });
      etag = headers.get("etag") ?? "";
      checks.that(`both serve ${key}`, Buffer.compare(body, bodyOf(winner, size)) === 0, () => `${status}`);
    }
    const replaced = await putAll({ "if-match": etag });
    checks.equal(`${key} is replaced once`, { actual: replaced.toSorted(ascending), expected: [200, 412] });
  });
  for (const client of clients) client.close();
  for (const server of servers) checks.equal("exit code", { actual: await server.stop(), expected: 0 });
}

function ascending(a: number, b: number): number {
  return a - b;
}
