import { type Address, Connection } from "../support/http/connection.ts";
import type { Ledger } from "../support/ledger.ts";
import { type Operation, pathOf } from "./operations.ts";

/** The server's refusal, which nobody reads any more. */
const problemBytesAtMost = 1024;

/** Sends the head and a part of a body, then closes the connection. */
export async function breakUpload(operation: Operation, address: Address, ledger: Ledger): Promise<void> {
  const { method, headers, body = new Uint8Array() } = operation;
  const path = pathOf(operation);
  const connection = await Connection.open(address);
  const pieces = function* () {
    yield body;
    connection.close();
  };
  const framing = operation.chunked === true ? {} : { sizeBytes: 2 * body.byteLength };
  try {
    await connection.send({ method, path, headers, body: pieces(), ...framing });
  } catch {
    const status = 400;
    const request = { method, path, status, requestBytesAtMost: body.byteLength };
    ledger.recordBrokenOff({ ...request, responseBytesAtMost: problemBytesAtMost, cacheStatus: "" });
    return;
  }
  throw new Error(`break upload: an answer came: ${path}`);
}

/**
 * Reads the head and some bytes of an answer that is far larger than what fits in between, then closes the connection.
 */
export async function breakDownload(operation: Operation, address: Address, ledger: Ledger): Promise<void> {
  const { method, headers } = operation;
  const path = pathOf(operation);
  const connection = await Connection.open(address);
  const response = await connection.send({ method, path, headers });
  for await (const _ of response.chunks()) break;
  connection.close();
  const { status } = response;
  const responseBytesAtMost = Number(response.headers.get("vitrine-size"));
  const cacheStatus = response.headers.get("cache-status") ?? "";
  ledger.recordBrokenOff({ method, path, status, requestBytesAtMost: 0, responseBytesAtMost, cacheStatus });
}
