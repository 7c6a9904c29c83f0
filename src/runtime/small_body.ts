import type { ByteSource, SendOptions } from "./types.ts";

/**
 * The response of one private copy, already released, if the body is at most `limitBytes` long and at hand; else
 * undefined.
 */
export function smallBody(source: ByteSource, options: SendOptions, limitBytes: number): Response | undefined {
  const { start, end } = options;
  const sizeBytes = end - start;
  if (sizeBytes > limitBytes) return undefined;
  const bytes = sizeBytes === 0 ? null : source.copy(start, end);
  if (bytes === undefined) return undefined;
  source.release("finished");
  options.onEnd({ outcome: "complete", bytesSent: sizeBytes });
  return new Response(bytes, { status: options.status, headers: options.headers });
}
