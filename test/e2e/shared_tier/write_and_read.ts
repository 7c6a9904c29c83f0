import type { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import type { SuiteRun } from "../support/run_suite.ts";

const keyCount = 20;

/** A value that was acknowledged: each key's values are 1, 2, 3, … */
interface Acknowledged {
  readonly value: number;
  readonly atMs: number;
}

/** Writes to one server and reads from the other for a while: no answer is older than the bound. */
export async function writeAndRead(
  { checks }: SuiteRun,
  { writer, reader, title, forMs, boundMs }: {
    readonly writer: Client;
    readonly reader: Client;
    readonly title: string;
    readonly forMs: number;
    /** How old an answer may be. */
    readonly boundMs: number;
  },
): Promise<void> {
  const untilMs = performance.now() + forMs;
  const known = new Map<string, Acknowledged[]>();
  let reads = 0;
  let hits = 0;
  const write = async (key: string): Promise<void> => {
    const history: Acknowledged[] = [];
    known.set(key, history);
    for (let value = 1; performance.now() < untilMs; value += 1) {
      const body = new TextEncoder().encode(String(value));
      const { status } = await writer.request({ method: "PUT", path: objectPath(key), body });
      if (status === 200 || status === 201) history.push({ value, atMs: performance.now() });
    }
  };
  const read = async (key: string): Promise<void> => {
    while (performance.now() < untilMs) {
      const sinceMs = performance.now();
      const { status, headers, body } = await reader.request({ method: "GET", path: objectPath(key) });
      const value = status === 200 ? Number(new TextDecoder().decode(body)) : 0;
      const least = known.get(key)?.findLast(({ atMs }) => atMs < sinceMs - boundMs)?.value ?? 0;
      checks.that(`${title}: ${key} is not older than the bound`, value >= least, () => `${value} < ${least}`);
      reads += 1;
      if (headers.get("cache-status")?.includes("detail=l1") === true) hits += 1;
    }
  };
  const keys = Array.from({ length: keyCount }, (_, n) => `${title}/${n}`);
  await Promise.all(keys.flatMap((key) => [write(key), read(key)]));
  checks.that(`${title}: the reader's L1 served some`, hits > 0, () => `${hits} of ${reads}`);
}
