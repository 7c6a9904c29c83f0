import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import { type DecodedMeta, decodeMeta, encodeMeta } from "../meta_record.ts";
import { bytesOf, type Engine, listOf, textOf } from "./engine.ts";
import { chunkCount, type ChunkId, chunkName, escapeKey, headName, type KeySpace, tombName } from "./layout.ts";
import { COMMIT, DELETE, REMOVE, TICKET } from "./scripts.ts";

/** Milliseconds for which replaced or deleted chunks are kept, for loads that are still reading them. */
export const GRACE_MS = 60_000;
/** Milliseconds after which a requested change is rejected as late. */
const LATE_MS = 60_000;
/** Milliseconds for which a deletion is remembered: longer than any older change can arrive late. */
const REMEMBER_MS = 2 * LATE_MS;
/**
 * Milliseconds for which the engine keeps expired objects. In this time a lookup can tell that the object has expired,
 * and servers' clocks may differ.
 */
const EXPIRED_MS = 60_000;
/**
 * Time to live of objects that do not expire: ten years. Everything but the bookkeeping has a time to live, so that an
 * engine with a volatile-* policy evicts only objects.
 */
const ENDLESS_MS = 10 * 365 * 86_400_000;

/** An object without its bytes. */
export interface Head {
  readonly decoded: DecodedMeta;
  /** Identifies the write that stored this object. */
  readonly generation: string;
}

/** A head with the object's bytes, unless they are in chunks. */
export interface FullHead extends Head {
  readonly bytes: Buffer | undefined;
}

/** Determines the order of a change that is about to be made. */
export interface Ticket {
  /** The change's number, assigned by the engine. */
  readonly number: string;
  /** True if the object existed when the ticket was taken. */
  readonly isThere: boolean;
}

/** A store that is about to become visible. */
export interface Commit {
  readonly ticket: Ticket;
  readonly generation: string;
  readonly meta: ObjectMeta;
  /** All bytes; undefined if they are in chunks. */
  readonly bytes: Buffer | undefined;
  readonly nowMs: number;
}

/**
 * The outcome of a commit: "superseded" if a later change was already made, "late" if it arrived too late, "lost" if
 * chunks are gone.
 */
export interface CommitResult {
  readonly outcome: "stored" | "superseded" | "late" | "lost";
  /** The object that was replaced or deleted. */
  readonly replaced: DecodedMeta | undefined;
}

/** The calls that affect one object each. */
export class Objects {
  readonly #engine: Engine;
  readonly #keys: KeySpace;
  readonly #server: string;

  /** `server`: the server's id in the log of changes; "" if changes are not logged. */
  constructor(engine: Engine, keys: KeySpace, server: string) {
    this.#engine = engine;
    this.#keys = keys;
    this.#server = server;
  }

  async head(key: ObjectKey): Promise<Head | undefined> {
    const name = headName(this.#keys.baseOf(key), key);
    return headOf(listOf(await this.#engine.call(name, ["HMGET", name, "m", "g"])));
  }

  async fullHead(key: ObjectKey): Promise<FullHead | undefined> {
    const name = headName(this.#keys.baseOf(key), key);
    const [meta, generation, bytes] = listOf(await this.#engine.call(name, ["HMGET", name, "m", "g", "b"]));
    const head = headOf([meta, generation]);
    return head && { ...head, bytes: bytesOf(bytes) };
  }

  async ticket(key: ObjectKey): Promise<Ticket> {
    const { keys, args } = this.#names(key);
    const [number, isThere] = listOf(await this.#engine.run(TICKET, keys, args));
    return { number: textOf(number), isThere: isThere === 1 };
  }

  async commit(key: ObjectKey, { ticket, generation, meta, bytes, nowMs }: Commit): Promise<CommitResult> {
    const { keys, args } = this.#names(key);
    const ttlMs = meta.expiresMs === 0 ? ENDLESS_MS : Math.max(0, Math.ceil(meta.expiresMs - nowMs)) + EXPIRED_MS;
    const reply = listOf(
      await this.#engine.run(COMMIT, keys, [
        ...args,
        ticket.number,
        generation,
        String(chunkCount(meta.sizeBytes)),
        encodeMeta(meta),
        String(meta.sizeBytes),
        String(Math.ceil(meta.expiresMs)),
        String(ttlMs),
        String(GRACE_MS),
        String(LATE_MS * 1000),
        this.#server,
        ...(bytes === undefined ? [] : [bytes]),
      ]),
    );
    return { outcome: outcomeOf(textOf(reply[0])), replaced: metaOf(reply[1]) };
  }

  /** Deletes the object that was there when the ticket was taken. */
  async delete(key: ObjectKey, ticket: Ticket): Promise<CommitResult> {
    const { keys, args } = this.#names(key);
    const times = [String(GRACE_MS), String(REMEMBER_MS), String(LATE_MS * 1000)];
    const reply = listOf(await this.#engine.run(DELETE, keys, [...args, ticket.number, ...times, this.#server]));
    const what = textOf(reply[0]);
    return { outcome: what === "deleted" ? "stored" : outcomeOf(what), replaced: metaOf(reply[1]) };
  }

  /** Removes one generation of an object; returns false if it was gone. */
  async remove(key: ObjectKey, generation: string): Promise<boolean> {
    const { keys, args } = this.#names(key);
    return await this.#engine.run(REMOVE, keys, [
      ...args,
      generation,
      String(GRACE_MS),
      String(REMEMBER_MS),
    ]) === 1;
  }

  /** Writes a chunk that expires after `ttlMs` unless a commit includes it. */
  async putChunk(
    key: ObjectKey,
    chunk: ChunkId & { readonly bytes: Buffer; readonly ttlMs: number },
  ): Promise<void> {
    const name = chunkName(this.#keys.baseOf(key), chunk.generation, chunk.index);
    await this.#engine.call(name, ["SET", name, chunk.bytes, "PX", String(chunk.ttlMs)]);
  }

  /** Returns a chunk as it is stored. */
  async getChunk(key: ObjectKey, { generation, index }: ChunkId): Promise<Buffer | undefined> {
    const name = chunkName(this.#keys.baseOf(key), generation, index);
    return bytesOf(await this.#engine.call(name, ["GET", name]));
  }

  /** Removes chunks that no commit has included. */
  async dropChunks(
    key: ObjectKey,
    { generation, count }: { readonly generation: string; readonly count: number },
  ): Promise<void> {
    const base = this.#keys.baseOf(key);
    for (let from = 0; from < count; from += 1000) {
      const names = Array.from(
        { length: Math.min(1000, count - from) },
        (_, i) => chunkName(base, generation, from + i),
      );
      const [first = ""] = names;
      await this.#engine.call(first, ["UNLINK", ...names]);
    }
  }

  #names(key: ObjectKey): { readonly keys: [string, string]; readonly args: readonly (string | Buffer)[] } {
    const base = this.#keys.baseOf(key);
    return { keys: [headName(base, key), tombName(base, key)], args: [base, key.tenant, escapeKey(key.key)] };
  }
}

function headOf([meta, generation]: readonly unknown[]): Head | undefined {
  const record = bytesOf(meta);
  const name = textOf(generation);
  // Without both fields it is not an object: a damaged one still has both.
  if (record === undefined && name === "") return undefined;
  return { decoded: record === undefined ? "damaged" : decodeMeta(record), generation: name };
}

function metaOf(reply: unknown): DecodedMeta | undefined {
  const record = bytesOf(reply);
  return record && decodeMeta(record);
}

function outcomeOf(word: string): CommitResult["outcome"] {
  if (word === "stored" || word === "superseded" || word === "lost") return word;
  return "late";
}
