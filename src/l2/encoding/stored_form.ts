import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import { parseMeta } from "../meta_record.ts";
import type { CipherName, KeyRing, ObjectCipher } from "./cipher.ts";
/** The header field that describes an encoded object. No client can store it: its name is not one that is kept. */
const FIELD = "vitrine-stored";
/** The version of the format that this code writes, and the only one that it reads. */
const VERSION = 1;
/** The number of the metadata among the parts of an object; no frame has it. */
const META_PART = 0xffff_ffff;

/** The form in which an encoded object is stored. */
export interface StoredForm {
  /** The metadata that was given to the store. */
  readonly meta: ObjectMeta;
  /** True if the frames are followed by the table of their lengths; otherwise all are of full length. */
  readonly hasTable: boolean;
  /** Missing if the object is not encrypted. */
  readonly cipher?: ObjectCipher | undefined;
}

/** The encoded bytes, and how they were encrypted. */
export interface EncodedBytes {
  readonly sizeBytes: number;
  readonly crc32: number;
  readonly encryption?: { readonly name: CipherName; readonly cipher: ObjectCipher } | undefined;
}

/**
 * Returns the metadata with which the encoded bytes are stored. It holds the original metadata, encrypted with an
 * encrypted object; then only version, creation and expiry stay readable, because the tier needs them.
 */
export async function describe(
  { meta, hasTable }: Omit<StoredForm, "cipher">,
  { sizeBytes, crc32, encryption }: EncodedBytes,
): Promise<ObjectMeta> {
  const { sizeBytes: plainBytes, crc32: plainCrc, contentType, sha256, headers = "", ...times } = meta;
  const plain = { sizeBytes: plainBytes, crc32: plainCrc, hasTable };
  const stored = { ...times, sizeBytes, crc32 };
  if (encryption === undefined) {
    return { ...stored, contentType, sha256, headers: `${FIELD}:${VERSION} ${JSON.stringify(plain)}\n${headers}` };
  }
  const { name: { keyId, salt }, cipher } = encryption;
  const secret = new TextEncoder().encode(JSON.stringify({ ...plain, contentType, sha256, headers }));
  const sealed = await cipher.seal(META_PART, secret, boundOf(stored));
  const field = `${FIELD}:${VERSION} ${keyId} ${base64(salt)} ${base64(sealed)}\n`;
  return { ...stored, contentType: "", sha256: "", headers: field };
}

/** True if the bytes stored with this metadata are not the object's own. */
export function isEncoded({ headers }: ObjectMeta): boolean {
  return headers?.startsWith(`${FIELD}:`) ?? false;
}

/**
 * Reads how an object is stored; undefined if it is stored as it is. Throws tier_failed if that cannot be understood,
 * or if the key is missing.
 */
export async function readForm(
  key: ObjectKey,
  stored: ObjectMeta,
  keys: KeyRing | undefined,
): Promise<StoredForm | undefined> {
  if (!isEncoded(stored)) return undefined;
  const { headers = "" } = stored;
  const end = headers.indexOf("\n");
  const [version = "", ...words] = headers.slice(FIELD.length + 1, end).split(" ");
  if (version !== String(VERSION)) throw bad(`its format is ${version}, of a later version of Vitrine`);
  const [first = "", salt, sealed] = words;
  if (salt === undefined || sealed === undefined) return formOf({ ...stored, headers: headers.slice(end + 1) }, first);
  if (keys === undefined) throw bad(`it is encrypted with key ${first}, and the tier has no key-file`);
  const cipher = await keys.cipher(key, { keyId: first, salt: bytesOf(salt) });
  const secret = await cipher.open(META_PART, bytesOf(sealed), boundOf(stored));
  return { ...formOf(stored, new TextDecoder().decode(secret)), cipher };
}

/** Returns what is authenticated together with the encrypted metadata. */
function boundOf({ version, createdMs, expiresMs, sizeBytes, crc32 }: Omit<ObjectMeta, "contentType" | "sha256">) {
  return JSON.stringify([version, createdMs, expiresMs, sizeBytes, crc32]);
}

/** Returns the form of an object, of whose metadata `json` replaces parts. */
function formOf(stored: ObjectMeta, json: string): StoredForm {
  try {
    const raw: unknown = JSON.parse(json);
    const merged = Object.assign({ ...stored, hasTable: undefined }, raw);
    const meta = parseMeta(merged);
    if (meta !== undefined && typeof merged.hasTable === "boolean") return { meta, hasTable: merged.hasTable };
  } catch (cause) {
    throw bad("its description is damaged", cause);
  }
  throw bad("its description is damaged");
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function bad(what: string, cause?: unknown): VitrineError {
  return new VitrineError("tier_failed", `decode object: ${what}`, { cause });
}
