import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import type { ObjectKey } from "../../core/key.ts";

const FINAL_NAME = /^[0-9a-f]{64}-[0-9a-z]{1,11}$/;
const TEMP_SUFFIX = ".tmp";

/** Where things lie in an adapter's folder. Raw keys never appear in a path. */
export class Layout {
  readonly root: string;
  readonly indexPath: string;
  readonly lockPath: string;
  readonly statePath: string;
  readonly reservePath: string;
  /** The 256 names of the folders that hold object files: "00" to "ff". */
  readonly folders: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
  readonly #tempStem = `${process.pid}-${randomBytes(6).toString("hex")}`;
  #temps = 0;

  constructor(root: string) {
    this.root = root;
    this.indexPath = join(root, "index.sqlite");
    this.lockPath = join(root, "lock.sqlite");
    this.statePath = join(root, "state");
    this.reservePath = join(root, "reserve");
  }

  /** The file name of one version of an object: SHA-256 of tenant, NUL and key in hex, "-", the version in base 36. */
  objectName(key: ObjectKey, version: number): string {
    const hash = createHash("sha256").update(`${key.tenant}\0${key.key}`).digest("hex");
    return `${hash}-${version.toString(36)}`;
  }

  /** Whether a file could have been named by `objectName`. */
  isObjectName(fileName: string): boolean {
    return FINAL_NAME.test(fileName);
  }

  /** Whether a file is an unfinished write. */
  isTempName(fileName: string): boolean {
    return fileName.endsWith(TEMP_SUFFIX);
  }

  /** Full path of one of the 256 folders. */
  folderPath(folder: string): string {
    return join(this.root, "objects", folder);
  }

  /** Full path of the folder that holds `name`. */
  folderOf(name: string): string {
    return this.folderPath(name.slice(0, 2));
  }

  /** Full path of an object file. */
  objectPath(name: string): string {
    return join(this.folderOf(name), name);
  }

  /** A path nobody else uses, in the folder where an object of `key` will lie. */
  tempPath(key: ObjectKey): string {
    this.#temps += 1;
    return join(this.folderOf(this.objectName(key, 0)), `${this.#tempStem}-${this.#temps}${TEMP_SUFFIX}`);
  }
}
