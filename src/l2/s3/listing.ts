import { compareKeys, type ObjectKey } from "../../core/object.ts";
import type { ListQuery } from "../adapter.ts";
import { PART_BYTES, type Slots } from "./body_writer.ts";
import type { Bucket, ListedBody } from "./bucket.ts";
import { type NameSpace, sizeOfBody } from "./layout.ts";
import type { Head, Objects } from "./objects.ts";

/** An object of a listing. */
export interface ListedObject {
  readonly key: ObjectKey;
  readonly head: Head;
}

/** The parts that a listing reads from. */
export interface ListingContext {
  readonly bucket: Bucket;
  readonly names: NameSpace;
  readonly objects: Objects;
  /** Limits the requests at a time. */
  readonly slots: Slots;
}

/** All objects with a prefix of names, page by page. */
export async function* listedBodies(
  bucket: Bucket,
  { prefix, after, limit }: { readonly prefix: string; readonly after?: string; readonly limit?: number },
): AsyncGenerator<readonly ListedBody[], void, void> {
  let token: string | undefined;
  do {
    const page = await bucket.list({
      prefix,
      token,
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    });
    yield page.objects;
    token = page.next;
  } while (token !== undefined);
}

/** A tenant's objects in the byte order of their keys, in groups; each needs a request. */
export async function* listedObjects(
  { bucket, names, objects, slots }: ListingContext,
  { tenant, prefix, after, limit }: ListQuery,
): AsyncGenerator<readonly ListedObject[], void, void> {
  const isWanted = ({ key }: ListedObject): boolean =>
    key.tenant === tenant && key.key.startsWith(prefix) && compareKeys(key.key, after) > 0;
  const found = async (group: readonly ListedBody[]): Promise<readonly ListedObject[]> => {
    const all = await slots.map(group, ({ name }) => objects.identify(name));
    return all.filter((each) => each !== undefined).filter(isWanted)
      .toSorted((a, b) => compareKeys(a.key.key, b.key.key));
  };
  const range = {
    prefix: names.startOf(tenant, prefix),
    limit: Math.min(1000, limit + 1),
    ...(after === "" ? {} : { after: names.before({ tenant, key: after }) }),
  };
  let held: readonly ListedBody[] = [];
  for await (const page of listedBodies(bucket, range)) {
    const all = [...held, ...page];
    // The last group may go on in the next page.
    const last = names.groupOf(all.at(-1)?.name ?? "");
    held = all.filter(({ name }) => names.groupOf(name) === last);
    yield await found(all.slice(0, all.length - held.length));
  }
  yield await found(held);
}

/** An object that was removed. */
export interface ClearedObject {
  readonly key: ObjectKey;
  /** Its size. */
  readonly bytes: number;
  readonly bodyBytes: number;
}

/** Removes all objects, or one tenant's, a page of names at a time. Other names in the bucket stay. */
export async function* clearObjects(
  context: ListingContext,
  tenant: string | undefined,
): AsyncGenerator<readonly ClearedObject[], void, void> {
  const { bucket, names, slots } = context;
  const prefix = tenant === undefined ? `${names.prefix}/` : names.baseOf(tenant);
  for await (const page of listedBodies(bucket, { prefix })) {
    const known = (await slots.map(page, (body) => identified(context, body))).filter((each) => each !== undefined);
    const removed = known.length === 0 ? new Set() : await bucket.deleteMany(known.map(({ body }) => body));
    yield known.filter(({ body }) => removed.has(body.name))
      .map(({ body, key, bytes }) => ({ key, bytes, bodyBytes: body.bytes }));
  }
}

async function identified({ names, objects }: ListingContext, body: ListedBody) {
  const key = names.parse(body.name);
  if (key === undefined) return undefined;
  if (key !== "hashed" && body.bytes <= PART_BYTES) return { body, key, bytes: sizeOfBody(body.bytes) };
  const found = await objects.identify(body.name);
  const { decoded } = found?.head ?? {};
  const bytes = typeof decoded === "object" ? decoded.meta.sizeBytes : 0;
  return found && { body, key: found.key, bytes };
}

/** Objects and the bytes of their bodies. */
export interface Totals {
  readonly objects: number;
  readonly bytes: number;
}

/** Options of UsageCounter. */
export interface UsageCounterOptions {
  /** Counts all objects, which takes long. */
  readonly count: () => Promise<Totals>;
  /** Milliseconds between two full counts. */
  readonly periodMs: number;
  readonly monotonicMs: () => number;
}

/**
 * Counts the objects of the tier: the latest full count, adjusted by the changes of this thread since then. Changes of
 * other servers are in the next full count.
 */
export class UsageCounter {
  readonly #options: UsageCounterOptions;
  #totals: Totals | undefined;
  #countedMs = 0;
  #counting: Promise<Totals> | undefined;

  constructor(options: UsageCounterOptions) {
    this.#options = options;
  }

  change({ objects, bytes }: Totals): void {
    if (this.#totals === undefined) return;
    this.#totals = {
      objects: Math.max(0, this.#totals.objects + objects),
      bytes: Math.max(0, this.#totals.bytes + bytes),
    };
  }

  /** Waits for the first count; later ones run in the background. Throws what the count throws. */
  async totals(): Promise<Totals> {
    const isOld = this.#options.monotonicMs() - this.#countedMs >= this.#options.periodMs;
    if (this.#totals !== undefined && !isOld) return this.#totals;
    this.#counting ??= this.#count().finally(() => (this.#counting = undefined));
    if (this.#totals === undefined) return await this.#counting;
    this.#counting.catch(() => {});
    return this.#totals;
  }

  async #count(): Promise<Totals> {
    const totals = await this.#options.count();
    this.#totals = totals;
    this.#countedMs = this.#options.monotonicMs();
    return totals;
  }
}
