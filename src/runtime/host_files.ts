import { readFileSync } from "node:fs";

/**
 * Reads the files in which the system tells what a process may use, and remembers those that it was not allowed to
 * read: a fact in there is unknown, not absent.
 */
export class HostFiles {
  readonly #unreadable = new Map<string, string>();
  readonly #readText: (path: string) => string;

  /** `readText` throws where it cannot read (default: the file system). */
  constructor(readText: (path: string) => string = (path) => readFileSync(path, "utf8")) {
    this.#readText = readText;
  }

  /** The file's text; undefined if there is no such file, or it cannot be read. */
  readonly read = (path: string): string | undefined => {
    try {
      return this.#readText(path);
    } catch (error) {
      if (!isMissing(error)) this.#unreadable.set(path, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };

  /** The causes for which files could not be read, by path. */
  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
