/** One end of a channel between two threads: ordered and lossless. */
export interface Port<Out, In> {
  post(message: Out): void;
  /** To be called once; what came before is not lost. `onClose`: the other end is closed, or its thread is gone. */
  listen(onMessage: (message: In) => void, onClose: () => void): void;
  close(): void;
}
