import type { OpenChannel } from "./channel.ts";

/**
 * A channel between two threads of one process, which must be the only two that open its name: everyone hears everyone
 * else. A thread of Deno that closes its last one may get a dead one when it opens the next too soon after: it throws
 * at the first post. Then it is opened again; what could not be posted is lost, as any message may be.
 */
export const openBroadcast: OpenChannel = (name) => {
  let listener = (_data: unknown) => {};
  let closed = false;
  const open = () => {
    const opened = new BroadcastChannel(name);
    opened.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (!closed) listener(data);
    });
    return opened;
  };
  let channel = open();
  return {
    post(message) {
      if (closed) return;
      try {
        channel.postMessage(message);
      } catch {
        channel.close();
        channel = open();
      }
    },
    onMessage(heard) {
      listener = heard;
    },
    close() {
      closed = true;
      channel.close();
    },
  };
};
