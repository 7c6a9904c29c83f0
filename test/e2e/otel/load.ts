import type { Client } from "../support/http/client.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import type { Random } from "../support/random.ts";

/** Settings under which the load below makes every kind of thing happen: both levels are too small for it. */
export const loadFlags = { "l1-size": "16MiB", "l1-admission-limit": "4MiB", "l1-max-objects": "2048" } as const;
/** The tier's limit, for the query of its URL. */
export const tierLimit = "max=24MiB";

const concurrency = 8;
const tenants = ["", "red", "blue"] as const;

interface Step {
  readonly method: "PUT" | "GET" | "HEAD" | "DELETE";
  readonly key: string;
  readonly tenant: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** Mostly reads of some objects among many, some writes, few deletes, and requests that are refused. */
function step(random: Random, keys: number): Step {
  const key = `load/${Math.floor(random.logUniform(1, keys))}`;
  const tenant = tenants[random.below(tenants.length)] ?? "";
  const dice = random.below(100);
  const read = { key, tenant, headers: {} };
  if (dice < 35) return { method: "GET", ...read };
  if (dice < 40) return { method: "HEAD", ...read };
  if (dice < 45) return { method: "GET", ...read, headers: { range: "bytes=100-199" } };
  if (dice < 48) return { method: "GET", ...read, headers: { range: "bytes=99999999-" } };
  if (dice < 52) return { method: "GET", ...read, key: `absent/${key}` };
  if (dice < 55) return { method: "DELETE", ...read };
  // 4 MiB and more goes past L1.
  const body = random.bytes(random.below(60) === 0 ? 5 * 1024 ** 2 : random.logUniform(1024, 512 * 1024));
  const write = { method: "PUT", key, tenant, body } as const;
  if (dice < 57) return { ...write, headers: { "if-match": '"none"' } };
  if (dice < 59) {
    return { ...write, headers: { "content-digest": "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:" } };
  }
  return { ...write, headers: dice < 70 ? { "cache-control": "max-age=1" } : {} };
}

/** Sends so many requests of all kinds; none may fail on the server's side. */
export async function sendLoad(
  client: Client,
  random: Random,
  { requests, keys }: { readonly requests: number; readonly keys: number },
): Promise<void> {
  const steps = function* () {
    for (let i = 0; i < requests; i++) yield step(random, keys);
  };
  await inParallel(steps(), concurrency, async ({ method, key, tenant, headers, body }) => {
    const { status } = await client.request({
      method,
      path: objectPath(key),
      headers: { ...headers, ...(tenant && { "vitrine-tenant": tenant }) },
      ...(body === undefined ? {} : { body }),
    });
    if (status >= 500) throw new Error(`load: ${method} ${key}: ${status}`);
  });
}

/**
 * Writes so many objects, more than memory holds together, each read at once; then reads them all again. The lifecycles
 * of few objects are looked at, so some of each kind are among these only if there are many.
 */
export async function turnOver(client: Client, objects: number): Promise<void> {
  const body = new Uint8Array(16 * 1024);
  const paths = Array.from({ length: objects }, (_, i) => objectPath(`turn/${i}`));
  const get = async (path: string) => void await client.request({ method: "GET", path });
  await inParallel(paths, concurrency, async (path) => {
    await client.request({ method: "PUT", path, body });
    await get(path);
    await get(path);
  });
  await inParallel(paths, concurrency, get);
}
