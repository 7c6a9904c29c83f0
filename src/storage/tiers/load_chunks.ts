import { crc32 } from "node:zlib";
import { causeText, VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { L2Load } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import { discardLoad, publishRate, type TierReader } from "./tier_reader.ts";

/** A range of an object's bytes to load. */
export interface LoadRequest {
  readonly key: ObjectKey;
  /** The metadata promised to the reader. Bytes of any other version are refused. */
  readonly meta: ObjectMeta;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** Tiers that may have it, in the order in which they are asked. */
  readonly tiers: readonly TierReader[];
  /** A load of exactly these bytes that is already open in the first of the tiers. */
  readonly opened?: L2Load | undefined;
}

/**
 * The bytes [start, end) of one version of an object, in order. If a tier fails half-way, the next one that has the
 * same version continues. Throws tier_failed if none can. Ends only if all bytes came and, for a whole object, match
 * the checksum of its metadata; the last chunk may be used only after that.
 */
export async function* loadChunks(
  context: StorageContext,
  request: LoadRequest,
): AsyncGenerator<Uint8Array, void, void> {
  const { meta, start, end } = request;
  const crc = start === 0 && end === meta.sizeBytes ? new RunningCrc() : undefined;
  let at = start;
  let failure: unknown;
  for (const [index, tier] of request.tiers.entries()) {
    let opened = index === 0 ? request.opened : undefined;
    try {
      opened ??= await tier.openRange(request.key, { start: at, end });
    } catch (error) {
      failure = error;
      continue;
    }
    if (opened === undefined) continue;
    if (opened.meta.version !== meta.version) {
      await discardLoad(opened);
      continue;
    }
    try {
      for await (const chunk of measured(context, tier, request, { load: opened, sizeBytes: end - at, crc })) {
        at += chunk.length;
        if (chunk.length > 0) yield chunk;
      }
      return;
    } catch (error) {
      failure = error;
      // No tier can replace bytes that were handed out.
      if (at === end) break;
    }
  }
  throw new VitrineError("tier_failed", "load object: no tier could give all of its bytes", { cause: failure });
}

/** The CRC-32 of bytes that come in chunks. */
class RunningCrc {
  value = 0;

  add(chunk: Uint8Array): void {
    this.value = crc32(chunk, this.value);
  }
}

/** One tier's part of a load. */
interface Part {
  readonly load: L2Load;
  readonly sizeBytes: number;
  /** The running checksum of the object, including the parts before this one; undefined for a range. */
  readonly crc: RunningCrc | undefined;
}

/**
 * One tier's part, published as one load. Throws if the tier gives more or fewer bytes than requested, or wrong ones.
 */
async function* measured(
  context: StorageContext,
  tier: TierReader,
  request: LoadRequest,
  { load, sizeBytes, crc }: Part,
): AsyncGenerator<Uint8Array, void, void> {
  const { publish, clock } = context;
  const label = { tier: tier.name, tenant: request.key.tenant, keys: 1, requestId: request.key.requestId };
  const startMs = clock.monotonicMs();
  let bytes = 0;
  let outcome: "ok" | "failed" | "aborted" = "aborted";
  let failure: { readonly error?: string } = {};
  publish("l2.load.submitted", { ...label, bytes: sizeBytes });
  try {
    for await (const chunk of load.chunks) {
      bytes += chunk.length;
      if (bytes > sizeBytes) throw wrongLength(tier.name, sizeBytes);
      crc?.add(chunk);
      yield chunk;
    }
    if (bytes < sizeBytes) throw wrongLength(tier.name, sizeBytes);
    if (crc !== undefined && crc.value !== request.meta.crc32) throw wrongChecksum(tier.name);
    outcome = "ok";
  } catch (error) {
    outcome = "failed";
    failure = { error: causeText(error) };
    throw error;
  } finally {
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    publish("l2.load.completed", { ...label, ...failure, outcome, bytes, requestedBytes: sizeBytes, seconds });
    if (outcome === "ok") publishRate(publish, { tier: tier.name, direction: "load", bytes, seconds });
  }
}

function wrongLength(tier: string, sizeBytes: number): VitrineError {
  return new VitrineError("tier_failed", `load from tier: wrong length from ${tier}`, {
    details: { tier, expected: sizeBytes },
  });
}

function wrongChecksum(tier: string): VitrineError {
  return new VitrineError("tier_failed", `load from tier: wrong checksum from ${tier}`, { details: { tier } });
}
