import type { HttpResponse } from "../support/http/http_response.ts";
import { objectPath } from "../support/keys.ts";
import { concatBytes } from "../support/bytes.ts";
import type { Connection } from "../support/http/connection.ts";
import { type Content, describe, hasBytes, sizeOf } from "./content.ts";
import type { Hunter } from "./hunter.ts";
import type { PendingRead, Register } from "./register.ts";

/** How many operations of others a slow reader lets pass between two chunks, and a stalled one in the middle. */
const pace = { quick: 0, slow: 3, stalled: 400 } as const;

/** How a client takes a body. */
export type Pace = keyof typeof pace;

/** Which part is read. */
export interface PartOptions {
  readonly at: number;
  readonly length: number;
  readonly hunter: Hunter;
}

/** Path of a key. */
export function pathOf({ key }: Register): string {
  return objectPath(`hunt/${key}`);
}

async function take(response: HttpResponse, how: Pace, { tally }: Hunter): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.chunks()) {
    chunks.push(chunk);
    if (how === "slow" || (how === "stalled" && chunks.length === 1)) await tally.operations(pace[how]);
  }
  const bytes = concatBytes(chunks);
  tally.readBytes += bytes.byteLength;
  return bytes;
}

/** Reads a whole object and compares it. */
export async function readWhole(register: Register, connection: Connection, { how, hunter }: {
  readonly how: Pace;
  readonly hunter: Hunter;
}): Promise<void> {
  const read = register.beginRead();
  const response = await connection.send({ method: "GET", path: pathOf(register) });
  const bytes = await take(response, how, hunter);
  hunter.assertAnswered("GET", response);
  if (response.status === 404) {
    const isRight = read.accepts((content) => content === undefined);
    hunter.checks.that(`a miss of ${register.key} though an object was acknowledged`, isRight);
    return;
  }
  hunter.checks.equal(`status of ${register.key}`, { actual: response.status, expected: 200 });
  const isRight = read.accepts((content) =>
    content !== undefined && sizeOf(content) === bytes.byteLength && hasBytes(content, 0, bytes)
  );
  hunter.checks.that(`wrong or outdated bytes of ${register.key}`, isRight, () => {
    return `: ${bytes.byteLength} bytes, ${JSON.stringify(describe(bytes))}, ${register.describe()}`;
  });
}

/** Reads a part of an object and compares it with that part of every version that may be current. */
export async function readPart(register: Register, connection: Connection, options: PartOptions): Promise<void> {
  const read = register.beginRead();
  try {
    await readPartOf(register, connection, { ...options, read });
  } catch (error) {
    // A part of an object that L1 does not admit is a second load: it breaks off if the object has been replaced in
    // between (docs/STORAGE.md).
    const { tally, admissionLimitBytes } = options.hunter;
    if (!read.mayBe((content) => content !== undefined && sizeOf(content) > admissionLimitBytes)) throw error;
    tally.end("part broken by a replacement");
    connection.close();
  }
}

async function readPartOf(
  register: Register,
  connection: Connection,
  { at, length, hunter, read }: PartOptions & { readonly read: PendingRead },
): Promise<void> {
  const headers = { range: `bytes=${at}-${at + length - 1}` };
  const response = await connection.send({ method: "GET", path: pathOf(register), headers });
  const range = /^bytes (?:\d+-\d+|\*)\/(?<size>\d+)$/.exec(response.headers.get("content-range") ?? "")?.groups;
  const size = Number(range?.["size"]);
  const bytes = await take(response, "quick", hunter);
  hunter.assertAnswered("GET", response);
  const { status } = response;
  const fits = (content: Content | undefined): boolean => {
    if (status === 404 || content === undefined) return status === 404 && content === undefined;
    if (status === 416) return sizeOf(content) <= at;
    return status === 206 && sizeOf(content) === size && bytes.byteLength === Math.min(length, size - at) &&
      hasBytes(content, at, bytes);
  };
  hunter.checks.that(`wrong or outdated bytes in a part of ${register.key}`, read.accepts(fits), () => {
    return `: status ${status}, ${bytes.byteLength} bytes from ${at} of ${size}, ${register.describe()}`;
  });
}
