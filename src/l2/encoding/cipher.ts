import { createHash, hkdfSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { VitrineError } from "../../core/errors.ts";
import { keyId, type ObjectKey } from "../../core/object.ts";
/** Bytes by which encryption makes a part longer. */
export const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/**
 * Encrypts the parts of one stored object with AES-256-GCM. Its key is used for nothing else: HKDF-SHA-256 derives it
 * from the master key, the tenant, the object's key and a random salt, as in Tink's AES-GCM-HKDF streaming format. So a
 * nonce, which is the number of the part, is never used twice with one key, and a part decrypts at its own place only.
 */
export class ObjectCipher {
  readonly #key: CryptoKey;

  private constructor(key: CryptoKey) {
    this.#key = key;
  }

  /** Derives an object's key from a master key, for HKDF. */
  static async derive(
    master: CryptoKey,
    { key, salt }: { readonly key: ObjectKey; readonly salt: Uint8Array<ArrayBuffer> },
  ): Promise<ObjectCipher> {
    // Hashed, because runtimes take at most 1024 bytes.
    const identity = createHash("sha256").update(keyId(key)).digest("hex");
    const info = new TextEncoder().encode(`vitrine object ${identity}`);
    const derivation = { name: "HKDF", hash: "SHA-256", salt, info };
    const kind = { name: "AES-GCM", length: 256 };
    return new ObjectCipher(
      await crypto.subtle.deriveKey(derivation, master, kind, false, ["encrypt", "decrypt"]),
    );
  }

  /** Encrypts a part. */
  async seal(part: number, bytes: Uint8Array<ArrayBuffer>, bound: string = ""): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await crypto.subtle.encrypt(parameters(part, bound), this.#key, bytes));
  }

  /** Decrypts a part. Throws tier_failed unless it is what `seal` returned for the same part and the same `bound`. */
  async open(part: number, bytes: Uint8Array<ArrayBuffer>, bound: string = ""): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await crypto.subtle.decrypt(parameters(part, bound), this.#key, bytes));
    } catch (cause) {
      throw new VitrineError("tier_failed", "decrypt object: it is not what was stored under this key", { cause });
    }
  }
}

function parameters(part: number, bound: string): AesGcmParams {
  const iv = new Uint8Array(NONCE_BYTES);
  new DataView(iv.buffer).setUint32(0, part, true);
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(bound) };
}

const KEY_BYTES = 32;
const SALT_BYTES = 32;
/** A key in hex or in base64. */
const KEY = /^(?:[0-9A-Fa-f]{64}|[A-Za-z0-9+/]{43}=)$/;

/** Identifies the key of one object. It may be stored in the clear. */
export interface CipherName {
  /** The key of the key file, as a number derived from it: 16 hex digits. */
  readonly keyId: string;
  /** Random bytes, other ones for every object. */
  readonly salt: Uint8Array<ArrayBuffer>;
}

/** The keys by their id; the last one writes. */
type Keys = ReadonlyMap<string, CryptoKey>;

/**
 * The keys of a key file, which has one a line; the last one writes. A key's id is derived from the key, so that a
 * wrong key is never tried in place of the right one.
 */
export class KeyRing {
  readonly #path: string;
  #keys: Keys;
  #reading: Promise<Keys> | undefined;

  private constructor(path: string, keys: Keys) {
    this.#path = path;
    this.#keys = keys;
  }

  /** Reads a key file. Throws tier_failed, with the path but nothing of what is in the file. */
  static async open(path: string): Promise<KeyRing> {
    return new KeyRing(path, await readKeys(path));
  }

  /** Returns a new name for the cipher of an object that is about to be stored. */
  newName(): CipherName {
    const [keyId = ""] = [...this.#keys.keys()].slice(-1);
    return { keyId, salt: crypto.getRandomValues(new Uint8Array(SALT_BYTES)) };
  }

  /**
   * Returns an object's cipher. If its key is unknown, reads the file once more, because keys may have been added.
   * Throws tier_failed if the file does not have it.
   */
  async cipher(key: ObjectKey, { keyId, salt }: CipherName): Promise<ObjectCipher> {
    if (!this.#keys.has(keyId)) {
      this.#reading ??= readKeys(this.#path).finally(() => (this.#reading = undefined));
      this.#keys = await this.#reading;
    }
    const master = this.#keys.get(keyId);
    if (master === undefined) {
      throw new VitrineError("tier_failed", `decrypt object: key ${keyId} is not in ${this.#path}`);
    }
    return await ObjectCipher.derive(master, { key, salt });
  }
}

async function readKeys(path: string): Promise<Keys> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new VitrineError("tier_failed", `read key file: ${path}`, { cause });
  }
  const keys = new Map<string, CryptoKey>();
  for (const [index, line] of text.split("\n").entries()) {
    const word = line.trim();
    if (word === "" || word.startsWith("#")) continue;
    if (!KEY.test(word)) {
      throw new VitrineError(
        "tier_failed",
        `read key file: ${path}: line ${index + 1} is not 32 bytes in hex or base64`,
      );
    }
    const bytes = new Uint8Array(Buffer.from(word, word.length === 2 * KEY_BYTES ? "hex" : "base64"));
    const keyId = Buffer.from(hkdfSync("sha256", bytes, "", "vitrine key id", 8)).toString("hex");
    // Of a key that occurs twice, the last occurrence counts.
    keys.delete(keyId);
    keys.set(keyId, await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]));
  }
  if (keys.size === 0) throw new VitrineError("tier_failed", `read key file: ${path} has no key`);
  return keys;
}
