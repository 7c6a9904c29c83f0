import { sha256 } from "../support/bytes.ts";
import type { Checks } from "../support/checks.ts";
import { type Address, Connection } from "../support/http/connection.ts";
import { objectPath } from "../support/keys.ts";
import { Random } from "../support/random.ts";

const transfers = 4;
const sizeBytes = 4 * 1024 ** 2;

/** Uploads and downloads that stand half-way. */
export interface SlowTransfers {
  /** The uploads' keys; with what they hold once `finish` has returned. */
  readonly uploads: ReadonlyMap<string, Uint8Array>;
  /** Lets them go on and checks that all of them end well. */
  finish(): Promise<void>;
}

async function* halves(bytes: Uint8Array, gate: Promise<void>): AsyncGenerator<Uint8Array, void, void> {
  const half = bytes.byteLength / 2;
  yield bytes.subarray(0, half);
  await gate;
  yield bytes.subarray(half);
}

async function put(address: Address, key: string, bytes: Uint8Array): Promise<number> {
  const connection = await Connection.open(address);
  const response = await connection.send({ method: "PUT", path: objectPath(key), body: bytes });
  await response.bytes();
  connection.close();
  return response.status;
}

/**
 * Starts transfers and leaves each half-way: its head has been answered (downloads) or half of its body is sent
 * (uploads).
 */
export async function startSlowTransfers(address: Address, checks: Checks): Promise<SlowTransfers> {
  const gate = Promise.withResolvers<void>();
  const contents = Array.from({ length: transfers }, (_, i) => new Random(100 + i).bytes(sizeBytes));
  const uploads = new Map(contents.map((bytes, i) => [`slow upload ${i}`, bytes]));

  const uploading = Array.from(uploads, async ([key, bytes]) => {
    const connection = await Connection.open(address);
    const body = halves(bytes, gate.promise);
    const response = await connection.send({ method: "PUT", path: objectPath(key), body, sizeBytes });
    await response.bytes();
    checks.equal(`${key}, stopped half-way`, { actual: response.status, expected: 201 });
    connection.close();
  });
  const downloading = await Promise.all(contents.map(async (bytes, i) => {
    const key = `slow download ${i}`;
    checks.equal(`PUT ${key}`, { actual: await put(address, key, bytes), expected: 201 });
    const connection = await Connection.open(address);
    const response = await connection.send({ method: "GET", path: objectPath(key) });
    return async () => {
      const body = await response.bytes();
      checks.equal(`${key}, stopped half-way`, { actual: sha256(body), expected: sha256(bytes) });
      connection.close();
    };
  }));
  return {
    uploads,
    async finish() {
      gate.resolve();
      await Promise.all([...uploading, ...downloading.map((finishOne) => finishOne())]);
    },
  };
}
