import { VitrineError } from "./errors.ts";

/** Options of a PolledFile. */
export interface PolledFileOptions<T> {
  /** The purpose and the path, for messages: `tokens from /etc/tokens`. */
  readonly name: string;
  /** Reads the text of the file, or of several together. Rejects if it cannot be read. */
  readonly read: () => Promise<string>;
  /** Throws for a text that cannot be used. */
  readonly parse: (text: string) => T;
  /** Called with the value of a file that has changed. */
  readonly onChange: (value: T) => void;
  /** Called once when the file becomes unusable; the previous value stays in effect. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * A file that is polled for changes. Polling also works for links that are redirected (Kubernetes) and for file systems
 * without change notification. When the file is usable again after a failure, its value is reported even if it has not
 * changed.
 */
export class PolledFile<T> {
  readonly #options: PolledFileOptions<T>;
  #text: string | undefined;
  /** The last failure reported; undefined after a success. */
  #failure: string | undefined;
  #isPolling = false;

  constructor(options: PolledFileOptions<T>) {
    this.#options = options;
  }

  /** Reads the value at startup. Rejects with VitrineError (bad_request), or with what `parse` throws. */
  async load(): Promise<T> {
    const text = await this.#read();
    const value = this.#options.parse(text);
    this.#text = text;
    return value;
  }

  /** Checks the file for changes. Never throws. */
  async poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      const text = await this.#read();
      if (text === this.#text && this.#failure === undefined) return;
      const value = this.#options.parse(text);
      this.#text = text;
      this.#failure = undefined;
      this.#options.onChange(value);
    } catch (error) {
      const failure = String(error);
      if (failure === this.#failure) return;
      this.#failure = failure;
      this.#options.onFailure(error);
    } finally {
      this.#isPolling = false;
    }
  }

  async #read(): Promise<string> {
    const { name, read } = this.#options;
    try {
      return await read();
    } catch (cause) {
      throw new VitrineError("bad_request", `read ${name}`, { cause });
    }
  }
}
