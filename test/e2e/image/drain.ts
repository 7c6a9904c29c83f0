import { objectPath } from "../support/keys.ts";
import type { Address } from "../support/http/connection.ts";
import { Connection } from "../support/http/connection.ts";

/** A download that has begun, of which most is still to come. */
export interface RunningDownload {
  /** Reads the rest; the number of bytes in all. */
  finish(): Promise<number>;
}

/** Asks for an object larger than what connections buffer, and reads no further than its head. */
export async function beginDownload(address: Address, key: string): Promise<RunningDownload> {
  const connection = await Connection.open(address);
  const response = await connection.send({ method: "GET", path: objectPath(key) });
  if (response.status !== 200) throw new Error(`download ${key}: ${response.status}`);
  return {
    async finish() {
      const bytes = await response.bytes();
      connection.close();
      return bytes.byteLength;
    },
  };
}
