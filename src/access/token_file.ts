import { VitrineError } from "../core/errors.ts";
import { parseTokens, type TokenEntry } from "./token_entry.ts";

/** Options of the watch over a token file. */
export interface TokenFileOptions {
  readonly path: string;
  /** Its text. Rejects where it cannot be read. */
  readonly read: (path: string) => Promise<string>;
  /** Told of the tokens of a file that has changed. */
  readonly onTokens: (tokens: readonly TokenEntry[]) => void;
  /** Told once of a file that cannot be used; the tokens before it go on to count. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * A file of tokens, read again and again: so it is right also for links that are turned elsewhere (Kubernetes) and for
 * file systems that tell of no change. What is right again after a failure is told, also if it is as before.
 */
export class TokenFile {
  readonly #options: TokenFileOptions;
  #text: string | undefined;
  /** The failure that was told last; undefined after a success. */
  #failure: string | undefined;
  #isLooking = false;

  constructor(options: TokenFileOptions) {
    this.#options = options;
  }

  /** The tokens at the start. Rejects with VitrineError (bad_request). */
  async load(): Promise<readonly TokenEntry[]> {
    const text = await this.#read();
    const tokens = parseTokens(text, this.#options.path);
    this.#text = text;
    return tokens;
  }

  /** Looks whether the file is another. Never throws. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
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
      this.#isLooking = false;
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
