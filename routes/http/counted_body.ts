import type { Call } from "../call.ts";

/**
 * An endless body, its bytes counted as it is read. A client that goes away ends it as well as its own end does: it has
 * no length to fall short of.
 */
export function countedBody(call: Call, body: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytesSent = 0;
  let isOver = false;
  // A cancel ends the read that waits, too.
  const over = (outcome: "complete" | "aborted") => {
    if (!isOver) call.bodyEnded({ outcome, bytesSent });
    isOver = true;
  };
  call.endlessBodyFollows();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          bytesSent += value.byteLength;
          return controller.enqueue(value);
        }
      } catch (error) {
        over("aborted");
        throw error;
      }
      if (isOver) return;
      over("complete");
      controller.close();
    },
    cancel(reason) {
      over("complete");
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
