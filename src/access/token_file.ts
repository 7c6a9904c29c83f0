import { VitrineError } from "../core/errors.ts";
import { parseTokens, type TokenEntry } from "./token_entry.ts";

/** Options of a TokenFile. */
export interface TokenFileOptions {
  readonly path: string;
  /** Reads the text of the file. Rejects if it cannot be read. */
  readonly read: (path: string) => Promise<string>;
  /** Called with the tokens of a file that has changed. */
  readonly onTokens: (tokens: readonly TokenEntry[]) => void;
  /** Called once when the file becomes unusable; the previous tokens stay valid. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * A token file, polled for changes. Polling also works for links that are redirected (Kubernetes) and for file systems
 * without change notification. When the file is usable again after a failure, its tokens are reported even if they have
 * not changed.
 */
export class TokenFile {
  readonly #options: TokenFileOptions;
  #text: string | undefined;
  /** The last failure reported; undefined after a success. */
  #failure: string | undefined;
  #isPolling = false;

  constructor(options: TokenFileOptions) {
    this.#options = options;
  }

  /** Reads the tokens at startup. Rejects with VitrineError (bad_request). */
  async load(): Promise<readonly TokenEntry[]> {
    const text = await this.#read();
    const tokens = parseTokens(text, this.#options.path);
    this.#text = text;
    return tokens;
  }

  /** Checks the file for changes. Never throws. */
  async poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      const text = await this.#read();
      if (text === this.#text && this.#failure === undefined) return;
      const tokens = parseTokens(text, this.#options.path);
      this.#text = text;
      this.#failure = undefined;
      this.#options.onTokens(tokens);
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
    const { path, read } = this.#options;
    try {
      return await read(path);
    } catch (cause) {
      throw new VitrineError("bad_request", `read tokens from ${path}`, { cause });
    }
  }
}
