import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** A hashed password: the result of scrypt (RFC 7914) and its parameters. */
export interface PasswordHash {
  /** The binary logarithm of N. */
  readonly logCost: number;
  readonly blockSize: number;
  readonly parallelism: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** Costs 16 MiB of memory and about 100 ms of a core; OWASP's parameters for N=2^14. */
const DEFAULT_COST = { logCost: 14, blockSize: 8, parallelism: 5 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Maximum memory for one check. */
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;

const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43,86})$/;

/** Parses a hash in the PHC string format; undefined if it is malformed or too expensive to check. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const [, logCost, blockSize, parallelism, salt = "", hash = ""] = PHC.exec(text) ?? [];
  const cost = { logCost: Number(logCost), blockSize: Number(blockSize), parallelism: Number(parallelism) };
  const isUsable = cost.logCost >= 10 && cost.blockSize >= 1 && cost.parallelism >= 1 && cost.parallelism <= 16 &&
    memoryOf(cost) <= MAX_MEMORY_BYTES;
  if (!isUsable) return undefined;
  return { ...cost, salt: Buffer.from(salt, "base64"), hash: Buffer.from(hash, "base64") };
}

/** Formats a hash in the PHC string format. */
export function formatPasswordHash({ logCost, blockSize, parallelism, salt, hash }: PasswordHash): string {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64").replaceAll("=", "");
  return `$scrypt$ln=${logCost},r=${blockSize},p=${parallelism}$${text(salt)}$${text(hash)}`;
}

/** Hashes a password with a fresh salt, off the event loop. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  return { ...DEFAULT_COST, salt, hash: await derive(password, { ...DEFAULT_COST, salt, length: HASH_BYTES }) };
}

/** True if the password has this hash. Works off the event loop, in a time that does not depend on the result. */
export async function isPassword(password: string, hash: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, { ...hash, length: hash.hash.byteLength }), hash.hash);
}

type Cost = Pick<PasswordHash, "logCost" | "blockSize" | "parallelism">;

function memoryOf({ logCost, blockSize, parallelism }: Cost): number {
  return 128 * blockSize * (2 ** logCost + parallelism);
}

function derive(
  password: string,
  { salt, length, ...cost }: Cost & { readonly salt: Uint8Array; readonly length: number },
): Promise<Uint8Array> {
  const { logCost, blockSize, parallelism } = cost;
  return new Promise((resolve, reject) => {
    scrypt(
      password,
      salt,
      length,
      { N: 2 ** logCost, r: blockSize, p: parallelism, maxmem: 2 * MAX_MEMORY_BYTES },
      // On success, Bun passes undefined where Node passes null.
      (error, derived) => error instanceof Error ? reject(error) : resolve(derived),
    );
  });
}
