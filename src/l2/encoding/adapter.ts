import { resolve } from "node:path";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type {
  L2Adapter,
  L2Load,
  L2Reader,
  ListPage,
  ListQuery,
  StoreSource,
  TierUsage,
  WholeObject,
} from "../adapter.ts";
import { type ByteRange, Calls, rangeWithin, sourceOfWhole } from "../calls.ts";
import { badUrl, type TierUrl } from "../url.ts";
import { KeyRing } from "./cipher.ts";
import { Encoder, type Encoding } from "./encoder.ts";
import { ENCRYPTED_FRAME_BYTES, FRAME_BYTES, FrameReader, type Frames, frameStart, tableBytes } from "./frames.ts";
import { isEncoded, readForm, type StoredForm } from "./stored_form.ts";
/** Number of attempts to load a range of an object that is being replaced all the time. */
const ATTEMPTS = 5;

/** An object as the tier has it. */
interface Found {
  readonly stored: ObjectMeta;
  /** Missing if the object is stored as it is. */
  readonly form: StoredForm | undefined;
}

/** Options of an EncodingReader. */
export interface EncodingOptions {
  /** As in L2Reader. */
  readonly missesOnError?: boolean;
  /** As in L2Reader. */
  readonly takesStores?: boolean;
}

/**
 * Reads objects that may be compressed or encrypted, from any tier. Each object says itself how it is stored, so other
 * objects are read as they are. docs/L2_WRAPPERS.md describes the format.
 */
export class EncodingReader implements Required<L2Reader> {
  readonly name: string;
  protected readonly calls: Calls;
  protected readonly encoding: Encoding;
  readonly missesOnError: boolean;
  readonly takesStores: boolean;
  readonly #inner: L2Reader;

  constructor(
    inner: L2Reader,
    encoding: Encoding,
    { missesOnError = false, takesStores = true }: EncodingOptions = {},
  ) {
    this.name = inner.name;
    this.missesOnError = missesOnError;
    this.takesStores = takesStores;
    this.calls = new Calls(inner.name);
    this.encoding = encoding;
    this.#inner = inner;
  }

  get trouble(): string | undefined {
    return this.#inner.trouble;
  }

  get isShared(): boolean | undefined {
    return this.#inner.isShared;
  }

  get maxAgeMs(): number | undefined {
    return this.#inner.maxAgeMs;
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.calls.run("look up object", async () => {
      const stored = await this.#inner.lookup(key);
      return stored && await this.#metaOf(key, stored);
    });
  }

  /** Also true for an object whose key this server lacks: it is there, and a read of it fails. */
  async has(keys: readonly ObjectKey[], onProgress?: () => void): Promise<readonly boolean[]> {
    return await this.calls.run("look up objects", () => this.#inner.has(keys, onProgress));
  }

  async load(key: ObjectKey, range?: ByteRange): Promise<L2Load | undefined> {
    return await this.calls.run("load object", async () => {
      if (range === undefined) return await this.#whole(key);
      if (!this.encodes) {
        const load = await this.#inner.load(key, range);
        if (load === undefined || !isEncoded(load.meta)) return load;
        await discard(load);
      }
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const stored = await this.#inner.lookup(key);
        if (stored === undefined) return undefined;
        const load = await this.#part(key, range, { stored, form: await this.#formOf(key, stored) });
        if (load !== "replaced") return load;
      }
      throw new VitrineError("tier_failed", `load object: it was replaced ${ATTEMPTS} times meanwhile`);
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.calls.run("list objects", async () => {
      const { entries, more } = await this.#inner.list(query);
      const plain = await Promise.all(entries.map(async ({ key, meta }) => {
        return { key, meta: await this.#metaOf({ tenant: query.tenant, key }, meta) };
      }));
      return { entries: plain, more };
    });
  }

  get missReason(): L2Reader["missReason"] {
    return this.#inner.missReason?.bind(this.#inner);
  }

  get serversBehind(): readonly string[] | undefined {
    return this.#inner.serversBehind;
  }

  async usage(): Promise<TierUsage | undefined> {
    return await this.calls.run("measure tier", () => this.#inner.usage());
  }

  async close(): Promise<void> {
    await this.calls.close();
    await this.#inner.close();
  }

  /** True if new objects are encoded. */
  protected get encodes(): boolean {
    return this.encoding.compresses || this.encoding.keys !== undefined;
  }

  #formOf(key: ObjectKey, stored: ObjectMeta): Promise<StoredForm | undefined> {
    return readForm(key, stored, this.encoding.keys);
  }

  async #metaOf(key: ObjectKey, stored: ObjectMeta): Promise<ObjectMeta> {
    const form = await this.#formOf(key, stored);
    return form === undefined ? stored : form.meta;
  }

  async #whole(key: ObjectKey): Promise<L2Load | undefined> {
    const load = await this.#inner.load(key);
    if (load === undefined) return undefined;
    try {
      const form = await this.#formOf(key, load.meta);
      return form === undefined ? load : decoded(form, load);
    } catch (error) {
      await discard(load);
      throw error;
    }
  }

  /** Loads a range of an object; "replaced" if the tier has another one by now. */
  async #part(key: ObjectKey, range: ByteRange, { stored, form }: Found): Promise<L2Load | undefined | "replaced"> {
    if (form === undefined) return await this.#same(key, stored, range);
    const frames = framesOf(form);
    const wanted = rangeWithin(range, frames.sizeBytes);
    let table: Uint8Array | undefined;
    if (form.hasTable) {
      const end = stored.sizeBytes;
      const load = await this.#same(key, stored, rangeWithin({ start: end - tableBytes(frames), end }, end));
      if (load === undefined || load === "replaced") return load;
      table = await collect(load);
    }
    const encoded = {
      start: frameStart(Math.floor(wanted.start / FRAME_BYTES), frames, table),
      end: frameStart(Math.ceil(wanted.end / FRAME_BYTES), frames, table),
    };
    const load = await this.#same(key, stored, rangeWithin(encoded, stored.sizeBytes));
    return load === undefined || load === "replaced" ? load : decoded(form, load, wanted);
  }

  /** Loads stored bytes of an object that was looked up. */
  async #same(key: ObjectKey, stored: ObjectMeta, range: ByteRange): Promise<L2Load | undefined | "replaced"> {
    const load = await this.#inner.load(key, range);
    if (load === undefined) return undefined;
    const { version, sizeBytes, crc32 } = load.meta;
    if (version === stored.version && sizeBytes === stored.sizeBytes && crc32 === stored.crc32) return load;
    await discard(load);
    return "replaced";
  }
}

function framesOf({ meta: { sizeBytes }, cipher }: StoredForm): Frames {
  return { sizeBytes, cipher };
}

function decoded(form: StoredForm, load: L2Load, range?: ByteRange): L2Load {
  const options = { frames: framesOf(form), range: rangeWithin(range, form.meta.sizeBytes) };
  return { meta: form.meta, chunks: new FrameReader(load.chunks, options) };
}

async function collect(load: L2Load): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of load.chunks) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

async function discard(load: L2Load): Promise<void> {
  await load.chunks[Symbol.asyncIterator]().return?.();
}

/** Compresses or encrypts the objects of any tier, for the thread that owns it. */
export class EncodingAdapter extends EncodingReader implements Required<L2Adapter> {
  readonly groupLimitBytes: number;
  readonly #inner: L2Adapter;

  constructor(inner: L2Adapter, encoding: Encoding, options: EncodingOptions = {}) {
    super(inner, encoding, options);
    this.#inner = inner;
    const overhead = encoding.keys === undefined ? 0 : ENCRYPTED_FRAME_BYTES;
    this.groupLimitBytes = Math.max(0, (inner.groupLimitBytes ?? 0) - overhead);
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    return await this.#run("store object", async () => {
      if (!this.encodes) return await this.#inner.store(key, source);
      const encoder = new Encoder(key, source, this.encoding);
      await this.#inner.store(key, encoder.encode());
      return encoder.meta;
    });
  }

  get storeWhole(): L2Adapter["storeWhole"] {
    const store = this.#inner.storeWhole?.bind(this.#inner);
    if (store === undefined) return undefined;
    return (key, object) =>
      this.#run(
        "store object",
        async () => await store(key, this.encodes ? await this.#encodeWhole(key, object) : object),
      );
  }

  get keys(): L2Adapter["keys"] {
    return this.#inner.keys?.bind(this.#inner);
  }

  get followChanges(): L2Adapter["followChanges"] {
    return this.#inner.followChanges?.bind(this.#inner);
  }

  /** Returns the bytes as they are stored: no key is needed to check them. */
  get peek(): L2Adapter["peek"] {
    return this.#inner.peek?.bind(this.#inner);
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#run("delete object", () => this.#inner.delete(key));
  }

  async clear(tenant?: string, onInvisible?: () => void): Promise<number> {
    return await this.#run("clear tier", () => this.#inner.clear(tenant, onInvisible));
  }

  async #encodeWhole(key: ObjectKey, object: WholeObject): Promise<WholeObject> {
    const source = sourceOfWhole(object);
    const meta = (): ObjectMeta => {
      // The bytes have been read. If they may have been others by then, that is the failure to report.
      object.assertWanted();
      return object.meta;
    };
    const encoded = new Encoder(key, { ...source, meta }, this.encoding).encode();
    // A whole object is a single frame, whose parts have memory of their own.
    const parts: Uint8Array[] = [];
    for await (const part of encoded.chunks) parts.push(part);
    return { meta: encoded.meta(), extents: parts, durable: object.durable, assertWanted: () => object.assertWanted() };
  }

  /** Runs a call, whose failures stay as they are: they may be the source's. */
  async #run<T>(action: string, work: () => Promise<T>): Promise<T> {
    return await this.calls.run(action, work, () => true);
  }
}

/** The encoding of a tier's objects, from its URL. */
export interface EncodingSettings {
  readonly compresses: boolean;
  /** The absolute path of the key file; missing: objects are not encrypted. */
  readonly keyPath?: string;
}

/** Takes `compress`, `encrypt` and `key-file` from the URL of any tier. Throws bad_request. */
export function takeEncoding(url: TierUrl): EncodingSettings {
  const { scheme } = url;
  const [compress, encrypt, keyFile] = [url.take("compress"), url.take("encrypt"), url.take("key-file")];
  if (compress !== undefined && compress !== "zstd") throw badUrl(`${scheme} compress must be zstd: ${compress}`);
  if (encrypt !== undefined && encrypt !== "aes-gcm") throw badUrl(`${scheme} encrypt must be aes-gcm: ${encrypt}`);
  if (encrypt !== undefined && (keyFile ?? "") === "") throw badUrl(`${scheme} encrypt=aes-gcm needs key-file=PATH`);
  if (encrypt === undefined && keyFile !== undefined) throw badUrl(`${scheme} key-file needs encrypt=aes-gcm`);
  return { compresses: compress === "zstd", ...(keyFile === undefined ? {} : { keyPath: resolve(keyFile) }) };
}

/** Reads the key file, if there is one. Throws tier_failed. */
export async function openEncoding({ compresses, keyPath }: EncodingSettings): Promise<Encoding> {
  return keyPath === undefined ? { compresses } : { compresses, keys: await KeyRing.open(keyPath) };
}
