import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import { etagOf } from "../../src/core/object.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { namedObject } from "../http/access.ts";
import { UploadBody } from "../http/body.ts";
import { parsePut } from "../objects/write.ts";
import type { FrameReader } from "./frames.ts";
import { itemProblem } from "./read.ts";

const headerSchema = v.strictObject({
  key: v.string(),
  headers: v.optional(v.record(v.string(), v.string()), {}),
});

/** Objects of a batch whose last step may run at the same time: a tier can make them durable together. */
const PENDING = 32;

/** Where the objects of a batch go. */
interface BatchStore extends Pick<AppOptions, "storage"> {
  readonly exchange: Exchange;
  readonly request: Request;
  readonly maxObjects: number;
}

/**
 * Stores the objects of a body of frames as they arrive; each has a result of its own. Of two with one key, the later
 * replaces the earlier. Throws bad_request.
 */
export async function storeFrames(frames: FrameReader, store: BatchStore): Promise<readonly object[]> {
  const results: object[] = [];
  const pending = new Map<string, Promise<void>>();
  let count = 0;
  try {
    for (let frame = await frames.head(); frame !== undefined; frame = await frames.head()) {
      const index = count++;
      if (index === store.maxObjects) {
        throw new VitrineError("bad_request", `parse frames: more than ${store.maxObjects} objects`);
      }
      const header = parseHeader(frame.header);
      const { key } = header;
      await pending.get(key);
      if (pending.size >= PENDING) await Promise.race(pending.values());
      try {
        const body = await receiveObject(frames, { ...store, ...header, sizeBytes: frame.bodyBytes });
        const finish = async () => {
          results[index] = { key, ...await finishObject(body, store.exchange) };
          pending.delete(key);
        };
        const done = finish();
        // It is awaited at the end, if not before.
        done.catch(() => {});
        pending.set(key, done);
      } catch (error) {
        if (frames.isBroken) throw error;
        results[index] = { key, ...itemProblem(store.exchange, error) };
      }
    }
  } finally {
    await Promise.allSettled(pending.values());
  }
  await Promise.all(pending.values());
  return results;
}

/** The frame's body, once it has arrived; its upload waits for the last step. */
async function receiveObject(
  frames: FrameReader,
  { storage, exchange, request, key, headers, sizeBytes }: BatchStore & {
    readonly key: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly sizeBytes: number;
  },
): Promise<UploadBody> {
  const object = { key: namedObject(exchange, request, key), sizeBytes };
  const upload = await storage.reserve(parsePut(exchange, parseHeaders(headers), object));
  const body = new UploadBody(upload, sizeBytes);
  try {
    for (let piece = await frames.piece(); piece !== undefined; piece = await frames.piece()) {
      await body.take(piece);
    }
  } catch (error) {
    upload.abort();
    throw error;
  }
  return body;
}

/** The last step of an upload, and its result. */
async function finishObject(body: UploadBody, exchange: Exchange): Promise<object> {
  try {
    const { meta, replaced } = await body.finish();
    return { status: replaced ? 200 : 201, etag: etagOf(meta) };
  } catch (error) {
    return itemProblem(exchange, error);
  }
}

function parseHeader(given: unknown): v.InferOutput<typeof headerSchema> {
  const header = v.safeParse(headerSchema, given);
  if (header.success) return header.output;
  const [issue] = header.issues;
  throw new VitrineError("bad_request", `parse frames: ${v.getDotPath(issue) ?? "header"}: ${issue.message}`);
}

function parseHeaders(fields: Readonly<Record<string, string>>): Headers {
  try {
    return new Headers(fields);
  } catch (cause) {
    throw new VitrineError("bad_request", "parse headers: not names and values of header fields", { cause });
  }
}
