import type { OpenChannel } from "./channel.ts";

/** A channel between two threads of one process, which must be the only two that open its name: everyone hears everyone else. */
export const openBroadcast: OpenChannel = (name) => {
  const channel = new BroadcastChannel(name);
  let open = true;
  return {
    post: (message) => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
      if (open) channel.postMessage(message);
    },
    onMessage: (listener) => {
      channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
        if (open) listener(data);
      });
    },
    close: () => {
      open = false;
      channel.close();
    },
  };
};
