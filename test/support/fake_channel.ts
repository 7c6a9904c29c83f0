import type { Port } from "../../src/core/threads.ts";

interface End<Out, In> extends Port<Out, In> {
  readonly hear: (message: In) => void;
  readonly closed: () => void;
}

/**
 * The two ends of a channel inside one isolate: ordered and lossless, a copy of each message delivered once `deliver`
 * resolves (default: in a later turn of microtasks).
 */
export function fakeChannel<A, B>(
  deliver: () => Promise<unknown> = () => Promise.resolve(),
): readonly [Port<A, B>, Port<B, A>] {
  let isOpen = true;
  const end = <Out, In>(other: () => End<In, Out>): End<Out, In> => {
    let tail: Promise<void> = Promise.resolve();
    const arrive = async (before: Promise<void>, message: Out): Promise<void> => {
      await before;
      await deliver();
      if (isOpen) other().hear(message);
    };
    let onMessage: ((message: In) => void) | undefined;
    let onClose = (): void => {};
    const early: In[] = [];
    return {
      post(message) {
        tail = arrive(tail, structuredClone(message));
      },
      listen(hear, close) {
        onMessage = hear;
        onClose = close;
        for (const message of early.splice(0)) hear(message);
      },
      close() {
        if (!isOpen) return;
        isOpen = false;
        queueMicrotask(() => other().closed());
      },
      hear: (message) => void (onMessage === undefined ? early.push(message) : onMessage(message)),
      closed: () => onClose(),
    };
  };
  const first: End<A, B> = end(() => second);
  const second: End<B, A> = end(() => first);
  return [first, second];
}
