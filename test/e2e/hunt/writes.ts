import type { Connection } from "../support/http/connection.ts";
import { contentOf, sizeOf } from "./content.ts";
import type { Hunter } from "./hunter.ts";
import { pathOf } from "./reads.ts";
import type { Register } from "./register.ts";

const pieceBytes = 128 * 1024;

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

/** Replaces what the key holds; a slow writer lets others go on between its pieces. */
export async function put(register: Register, connection: Connection, { slow, hunter }: {
  readonly slow: boolean;
  readonly hunter: Hunter;
}): Promise<void> {
  const write = register.beginPut();
  const { content } = write;
  if (content === undefined) return;
  const body = async function* () {
    yield content.header;
    for (const piece of piecesOf(content.pattern)) {
      yield piece;
      if (slow) await hunter.tally.operations(2);
    }
  };
  const request = { method: "PUT", path: pathOf(register), body: body(), sizeBytes: sizeOf(content) };
  const response = await connection.send(request);
  await response.bytes();
  hunter.assertAnswered("PUT", response);
  const { status } = response;
  hunter.checks.that(`PUT of ${register.key}`, status === 200 || status === 201, () => String(status));
  write.acknowledge();
}

/** Removes what the key holds; a 404 says, as a 204 does, that it holds nothing now. */
export async function remove(register: Register, connection: Connection, hunter: Hunter): Promise<void> {
  const died = hunter.tally.watchDeaths();
  const write = register.beginDelete();
  const response = await connection.send({ method: "DELETE", path: pathOf(register) });
  await response.bytes();
  hunter.assertAnswered("DELETE", response);
  const { status } = response;
  hunter.checks.that(`DELETE of ${register.key}`, status === 204 || status === 404, () => String(status));
  // A 204 may be a dying worker's last word, see assertAnswered.
  if (!died()) write.acknowledge();
}

/** Sends a part of a body that belongs to no version, and closes: nobody may ever see it. */
export async function breakUpload(register: Register, connection: Connection, seed: number): Promise<void> {
  const { header, pattern } = contentOf(1_000_000 + register.key, seed);
  const half = pattern.subarray(0, pattern.byteLength / 2);
  const body = function* () {
    yield header;
    yield* piecesOf(half);
    connection.close();
  };
  const sizeBytes = header.byteLength + pattern.byteLength;
  try {
    await connection.send({ method: "PUT", path: pathOf(register), body: body(), sizeBytes });
  } catch {
    return;
  }
  throw new Error("break upload: an answer came");
}

/** Reads the beginning of an object, and closes. */
export async function breakDownload(register: Register, connection: Connection): Promise<void> {
  const response = await connection.send({ method: "GET", path: pathOf(register) });
  for await (const _ of response.chunks()) break;
  connection.close();
}
