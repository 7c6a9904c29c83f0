import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { VitrineError } from "../core/errors.ts";
import { MAX_TENANT_BYTES } from "../core/object.ts";
import type { Quota } from "../l1/l1.ts";

/** A tenant's quota, without what is used of it. */
export type NamedQuota = Quota & { readonly tenant: string };

/**
 * The file in which quotas are kept over a restart: JSON, written anew as a whole at each change. Each thread that
 * changes quotas has one, over the same path.
 */
export class QuotaFile {
  readonly path: string;
  /** Ends when the writes of this thread that have begun have ended. */
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** The quotas in the file; none if there is no file. Throws bad_request for a file that cannot be used. */
  async load(): Promise<readonly NamedQuota[]> {
    const text = await this.#read();
    if (text === undefined) return [];
    try {
      return parseQuotas(JSON.parse(text));
    } catch (cause) {
      throw new VitrineError("bad_request", `read quotas from ${this.path}: not a list of quotas`, { cause });
    }
  }

  /**
   * Writes the quotas that are in effect, unless the file has them. Another thread may write at the same time, so it
   * looks again afterwards: whoever writes last has seen the last change.
   */
  keep(current: () => readonly NamedQuota[]): Promise<void> {
    const written = this.#writing.then(() => this.#keep(current));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #keep(current: () => readonly NamedQuota[]): Promise<void> {
    let text = await this.#read() ?? formatQuotas([]);
    for (let wanted = formatQuotas(current()); text !== wanted; wanted = formatQuotas(current())) {
      await this.#write(wanted);
      text = wanted;
    }
  }

  async #read(): Promise<string | undefined> {
    try {
      return await readFile(this.path, "utf8");
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
      throw new VitrineError("bad_request", `read quotas from ${this.path}`, { cause });
    }
  }

  async #write(text: string): Promise<void> {
    const temporary = `${this.path}-${process.pid}-${randomBytes(6).toString("hex")}.tmp`;
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    const folder = await open(dirname(this.path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function formatQuotas(quotas: readonly NamedQuota[]): string {
  const rows = quotas.map(({ tenant, limitBytes, isStrict }) =>
    `\n  ${JSON.stringify({ tenant, limit_bytes: limitBytes, strict: isStrict })}`
  );
  return `[${rows.join(",")}${rows.length === 0 ? "" : "\n"}]\n`;
}

function parseQuotas(value: unknown): readonly NamedQuota[] {
  if (!Array.isArray(value)) throw new TypeError("not a list");
  return value.map((row: unknown, at) => {
    const quota = parseQuota(row);
    if (quota === undefined) throw new TypeError(`row ${at + 1} is not {"tenant", "limit_bytes", "strict"}`);
    return quota;
  });
}

function parseQuota(row: unknown): NamedQuota | undefined {
  if (typeof row !== "object" || row === null) return undefined;
  if (!("tenant" in row && "limit_bytes" in row && "strict" in row)) return undefined;
  const { tenant, limit_bytes: limitBytes, strict: isStrict } = row;
  const isTenant = typeof tenant === "string" && tenant.length <= MAX_TENANT_BYTES && /^[\x20-\x7e]*$/.test(tenant);
  const isLimit = typeof limitBytes === "number" && Number.isSafeInteger(limitBytes) && limitBytes >= 0;
  return isTenant && isLimit && typeof isStrict === "boolean" ? { tenant, limitBytes, isStrict } : undefined;
}
