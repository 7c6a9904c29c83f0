import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import { MISS_REASONS, type MissReason, type Publish } from "../../core/events.ts";
import { etagOf, isExpired, keyId, type ObjectKey, type ObjectMeta } from "../../core/object.ts";
import { formatMeta, metaOf, parseMeta, TIER_FIELDS, toBase64 } from "../../core/tier_protocol.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type {
  L2Adapter,
  L2Load,
  ListPage,
  ListQuery,
  StoreSource,
  TierRemovalListener,
  TierRemovalReason,
} from "../adapter.ts";
import { type ByteRange, Calls, rangeWithin, watchSource } from "../calls.ts";
import type { Health } from "../health.ts";
import { type RemovedObject, reportRemoved } from "../reports.ts";
import { type PutBody, putBody } from "./body.ts";
import {
  addressOf,
  type Central,
  type CentralReply,
  type CentralRequest,
  failureOf,
  jsonOf,
  type Patience,
} from "./central.ts";
import { LoadedBytes } from "./loaded_bytes.ts";
import type { HttpSettings } from "./settings.ts";

/** Number of keys whose last miss is remembered with the reason that the server gave. */
const MISSES = 4096;
/** Number of objects that CLEAR asks to delete at a time. */
const DELETES_IN_FLIGHT = 32;
/** Largest page of a listing. */
const PAGE = 1000;

/** Options of an HttpAdapter. */
export interface HttpAdapterOptions {
  readonly name: string;
  readonly central: Central;
  readonly health: Health;
  readonly settings: HttpSettings;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener | undefined;
}

/**
 * Stores objects in another server, the central one, which any number of servers may be in front of. An object has the
 * same metadata and entity tag on all of them. docs/L2_HTTP.md describes the guarantees.
 */
export class HttpAdapter implements L2Adapter {
  readonly name: string;
  readonly isShared = true;
  readonly #options: HttpAdapterOptions;
  readonly #calls: Calls;
  readonly #misses = new Map<string, MissReason>();
  /** Stores that may have become visible, by key: calls that begin later wait, so that they see the new object. */
  readonly #commits = new Map<string, Promise<unknown>>();

  constructor(options: HttpAdapterOptions) {
    this.name = options.name;
    this.#options = options;
    this.#calls = new Calls(options.name);
  }

  get trouble(): string | undefined {
    return this.#options.health.trouble;
  }

  get serversBehind(): readonly string[] {
    return this.#options.central.serversBehind;
  }

  missReason(key: ObjectKey): MissReason | undefined {
    return this.#misses.get(keyId(key));
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#calls.run("look up object", async () => {
      await this.#commits.get(keyId(key));
      return await this.#head(key);
    });
  }

  /** One request. The other server answers by its own clock, and by all of its levels. */
  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    return await this.#calls.run("look up objects", async () => {
      const [first] = keys;
      if (first === undefined) return [];
      await Promise.all(keys.map(async (key) => await this.#commits.get(keyId(key))));
      const names = keys.map((key) => addressOf(this.#options.settings, key).key);
      const body = new TextEncoder().encode(JSON.stringify({ keys: names }));
      const headers = { "content-type": "application/json" };
      const reply = await this.#send({ method: "POST", headers, body }, first);
      if (reply.status !== 200) throw await failureOf("look up objects", reply);
      const held = heldOf(await jsonOf(reply));
      if (held?.length === keys.length) return held;
      throw new VitrineError("tier_failed", "look up objects: the server's answer is not understood");
    });
  }

  async load(key: ObjectKey, range?: ByteRange): Promise<L2Load | undefined> {
    return await this.#calls.run("load object", async () => {
      await this.#commits.get(keyId(key));
      const headers = range === undefined ? {} : { [TIER_FIELDS.range]: `${range.start}-${range.end}` };
      const reply = await this.#send({ method: "GET", headers }, key);
      const meta = await this.#found(key, reply, "load object");
      if (meta === undefined) return undefined;
      const isClosed = (): boolean => this.#calls.closed;
      return { meta, chunks: new LoadedBytes(reply, { meta, range: rangeWithin(range, meta.sizeBytes), isClosed }) };
    });
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const watched = watchSource(source);
    return await this.#calls.run(
      "store object",
      () => this.#put(key, watched.source),
      (error) => watched.threw(error),
    );
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.run("delete object", async () => {
      await this.#commits.get(keyId(key));
      const meta = await this.#head(key);
      if (meta === undefined) return false;
      // If another change came first, it has removed the object.
      if (await this.#remove(key, meta)) this.#tell([{ key, meta }], "deleted");
      return true;
    });
  }

  /** Deletes what a listing has, one by one: only objects under the prefix, and none that is stored meanwhile. */
  async clear(tenant?: string): Promise<number> {
    return await this.#calls.run("clear tier", async () => {
      if (tenant === undefined) {
        throw new VitrineError("tier_failed", "clear tier: another server tells no tenants: name one");
      }
      let count = 0;
      for (let after = "", more = true; more;) {
        const page = await this.#page({ tenant, prefix: "", after, limit: PAGE });
        const objects = page.entries.map(({ key, meta }) => ({ key: { tenant, key }, meta }));
        const removed: typeof objects = [];
        for (let at = 0; at < objects.length; at += DELETES_IN_FLIGHT) {
          await Promise.all(
            objects.slice(at, at + DELETES_IN_FLIGHT).map(async (object) => {
              if (await this.#remove(object.key, object.meta)) removed.push(object);
            }),
          );
        }
        this.#tell(removed, "cleared");
        count += removed.length;
        after = page.entries.at(-1)?.key ?? after;
        more = page.more;
      }
      return count;
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("list objects", async () => {
      const entries: { readonly key: string; readonly meta: ObjectMeta }[] = [];
      let more = true;
      for (let { after } = query; more && entries.length < query.limit;) {
        const page = await this.#page({ ...query, after });
        for (const { key, meta } of page.entries) {
          if (!await this.#isOver({ tenant: query.tenant, key }, meta)) entries.push({ key, meta });
        }
        after = page.entries.at(-1)?.key ?? after;
        more = page.more;
      }
      return { entries: entries.slice(0, query.limit), more: more || entries.length > query.limit };
    });
  }

  /** The other server does not tell how much of what it holds can be reached through this tier. */
  async usage(): Promise<undefined> {
    return await this.#calls.run("measure tier", () => this.#assertUsable());
  }

  /** Does not wait for loads that are still being read; their next chunk fails. */
  async close(): Promise<void> {
    if (await this.#calls.close()) await this.#options.health.close();
  }

  async #put(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const { sizeBytes, durable = true, atHand } = source;
    const { contentType, sha256, headers: kept } = atHand ?? source.early ?? { contentType: "", sha256: "" };
    const settled = Promise.withResolvers<void>();
    const id = keyId(key);
    let patience: Patience | undefined;
    let put: PutBody | undefined;
    try {
      put = await putBody(source, {
        onCommit: () => this.#commits.set(id, settled.promise),
        patience: () => patience,
      });
      const reply = await this.#send({
        method: "PUT",
        headers: {
          [TIER_FIELDS.meta]: formatMeta({
            sizeBytes,
            contentType,
            sha256,
            ...(kept === undefined ? {} : { headers: kept }),
          }),
          // A store for which nobody waits is as durable as the other server makes it.
          ...(durable ? { "vitrine-durability": "l2" } : {}),
        },
        body: put.body,
        onBegin: (begun) => patience = begun,
      }, key);
      if (reply.status === 412) return await this.#refused(key, source, { reply, meta: put.meta() });
      if (reply.status !== 200 && reply.status !== 201) throw await failureOf("store object", reply);
      reply.end();
      const replaced = parseMeta(reply.headers.get(TIER_FIELDS.replaced));
      if (replaced !== undefined) {
        const isOver = isExpired(replaced, this.#options.clock.nowMs());
        this.#tell([{ key, meta: replaced }], isOver ? "expired" : "replaced");
      }
      return put.meta();
    } catch (error) {
      // On Deno, fetch fails with an error of its own if its body does.
      throw put?.failure()?.error ?? error;
    } finally {
      if (this.#commits.get(id) === settled.promise) this.#commits.delete(id);
      settled.resolve();
    }
  }

  /**
   * The server did not replace what it has: because of the source's precondition, which then says so; or because the
   * token may only create. In that case an earlier attempt, whose answer was lost, may have stored this very object.
   */
  async #refused(
    key: ObjectKey,
    source: StoreSource,
    { reply, meta }: { readonly reply: CentralReply; readonly meta: ObjectMeta },
  ): Promise<ObjectMeta> {
    const failure = await failureOf("store object", reply);
    const found = await this.#head(key);
    const isConditional = source.precondition?.() !== undefined;
    if (!isConditional && found?.version === meta.version && found.crc32 === meta.crc32) return meta;
    source.assertWanted?.({ meta: found });
    throw failure;
  }

  async #head(key: ObjectKey): Promise<ObjectMeta | undefined> {
    const reply = await this.#send({ method: "HEAD" }, key);
    const meta = await this.#found(key, reply, "look up object");
    reply.end();
    return meta;
  }

  /** The metadata in an answer; undefined for a miss, which ends it. */
  async #found(key: ObjectKey, reply: CentralReply, action: string): Promise<ObjectMeta | undefined> {
    if (reply.status === 404) {
      reply.end();
      this.#remember(key, reasonOf(reply.headers));
      return undefined;
    }
    if (reply.status !== 200) throw await failureOf(action, reply);
    const meta = parseMeta(reply.headers.get(TIER_FIELDS.meta));
    if (meta === undefined) {
      reply.end();
      throw new VitrineError("tier_failed", `${action}: the server's answer is not understood`);
    }
    if (!await this.#isOver(key, meta)) return meta;
    reply.end();
    return undefined;
  }

  /** True if the object has expired by this server's clock, which removes it. */
  async #isOver(key: ObjectKey, meta: ObjectMeta): Promise<boolean> {
    if (!isExpired(meta, this.#options.clock.nowMs())) return false;
    if (await this.#remove(key, meta)) this.#tell([{ key, meta }], "expired");
    this.#remember(key, "expired");
    return true;
  }

  /** Removes this very object; false if it was gone. */
  async #remove(key: ObjectKey, meta: ObjectMeta): Promise<boolean> {
    const reply = await this.#send({ method: "DELETE", headers: { "if-match": etagOf(meta) } }, key);
    if (reply.status !== 204 && reply.status !== 404 && reply.status !== 412) {
      throw await failureOf("delete object", reply);
    }
    reply.end();
    return reply.status === 204;
  }

  async #page({ tenant, prefix, after, limit }: ListQuery): Promise<ListPage> {
    const { settings } = this.#options;
    const address = addressOf(settings, { tenant, key: prefix });
    const query = {
      prefix: toBase64(address.key),
      after: after === "" ? "" : toBase64(settings.prefix + after),
      limit: String(limit),
    };
    this.#assertUsable();
    const reply = await this.#options.central.send({ method: "GET", tenant: address.tenant, query });
    if (reply.status !== 200) throw await failureOf("list objects", reply);
    const page = pageOf(await jsonOf(reply), settings.prefix);
    if (page === undefined) {
      throw new VitrineError("tier_failed", "list objects: the server's answer is not understood");
    }
    return page;
  }

  async #send(request: Omit<CentralRequest, "tenant" | "key">, key: ObjectKey): Promise<CentralReply> {
    const { central, settings, health } = this.#options;
    // Before the first probe, it is not known whether the servers form a ring.
    await health.answered;
    this.#assertUsable();
    return await central.send({ ...request, ...addressOf(settings, key) });
  }

  #assertUsable(): undefined {
    const { trouble } = this;
    if (trouble !== undefined) throw new VitrineError("tier_failed", `use tier ${this.name}: ${trouble}`);
    return undefined;
  }

  /** Keeps the reason of a miss, the newest ones last. */
  #remember(key: ObjectKey, reason: MissReason | undefined): void {
    const id = keyId(key);
    this.#misses.delete(id);
    if (reason === undefined) return;
    this.#misses.set(id, reason);
    if (this.#misses.size <= MISSES) return;
    const [oldest] = this.#misses.keys();
    if (oldest !== undefined) this.#misses.delete(oldest);
  }

  #tell(removed: readonly { readonly key: ObjectKey; readonly meta: ObjectMeta }[], reason: TierRemovalReason): void {
    const objects = removed.map(({ key, meta }): RemovedObject => ({ key, bytes: meta.sizeBytes }));
    reportRemoved(this.#options, objects, reason);
  }
}

/** The reason that the answer to a miss gives. */
function reasonOf(headers: Headers): MissReason | undefined {
  const said = /\bdetail=([a-z_]+)/.exec(headers.get("cache-status") ?? "")?.[1];
  return MISS_REASONS.find((each) => each === said);
}

/** Parses the answer about many keys; undefined unless it is sound. */
function heldOf(answer: unknown): readonly boolean[] | undefined {
  const { held }: { readonly held?: unknown } = Object(answer);
  return Array.isArray(held) && held.every((each) => typeof each === "boolean") ? held : undefined;
}

/** Parses a page of a listing, whose keys have the prefix; undefined unless it is sound. */
function pageOf(answer: unknown, prefix: string): ListPage | undefined {
  if (typeof answer !== "object" || answer === null || !("entries" in answer) || !("more" in answer)) return undefined;
  const { entries: listed, more } = answer;
  if (!Array.isArray(listed) || typeof more !== "boolean") return undefined;
  const entries: { readonly key: string; readonly meta: ObjectMeta }[] = [];
  for (const entry of listed) {
    const { key, meta: value }: { readonly key?: unknown; readonly meta?: unknown } = Object(entry);
    const meta = metaOf(value);
    if (typeof key !== "string" || !key.startsWith(prefix) || meta === undefined) return undefined;
    entries.push({ key: key.slice(prefix.length), meta });
  }
  return { entries, more };
}
