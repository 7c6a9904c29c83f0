import { cpSync, existsSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type BlockingDisk, systemDisk } from "../../../src/l2/file/disk.ts";

/** Nothing of what a simulated disk keeps has to reach a real one. */
export const MEMORY_DISK: string = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Thrown by every call from the moment of the crash on. */
export class Crash extends Error {}

/** A name in a folder that a power loss would undo. */
type Unsynced =
  | { readonly kind: "created"; readonly path: string }
  | { readonly kind: "renamed"; readonly from: string; readonly to: string }
  | { readonly kind: "removed"; readonly path: string; readonly copy: string };

/**
 * The real file system of one folder, which crashes at a given step, and knows what a power loss would take away: bytes
 * that were not synced, and names whose folder was not.
 */
export class SimulatedDisk {
  readonly #root: string;
  /** Kept outside of the root: removed files and older copies of the index. */
  readonly #attic: string;
  readonly #crashAt: number;
  readonly #paths = new Map<number, string>();
  readonly #lengths = new Map<string, { written: number; synced: number }>();
  #unsynced: Unsynced[] = [];
  #steps = 0;
  #copies = 0;
  #indexes = 0;

  constructor(root: string, crashAt: number) {
    this.#root = root;
    this.#attic = `${root}.attic`;
    this.#crashAt = crashAt;
    mkdirSync(this.#attic, { recursive: true });
  }

  get steps(): number {
    return this.#steps;
  }

  get hasCrashed(): boolean {
    return this.#steps >= this.#crashAt;
  }

  readonly disk: BlockingDisk = {
    ...systemDisk,
    create: (path) =>
      this.#step(() => {
        const file = systemDisk.create(path);
        this.#paths.set(file, path);
        this.#lengths.set(path, { written: 0, synced: 0 });
        this.#unsynced.push({ kind: "created", path });
        return file;
      }),
    write: (file, buffers, position) =>
      this.#step(() => {
        systemDisk.write(file, buffers, position);
        const lengths = this.#lengthsOf(file);
        lengths.written = Math.max(lengths.written, position + buffers.reduce((sum, { length }) => sum + length, 0));
      }),
    truncate: (file, length) =>
      this.#step(() => {
        systemDisk.truncate(file, length);
        const lengths = this.#lengthsOf(file);
        lengths.written = length;
        lengths.synced = Math.min(lengths.synced, length);
      }),
    sync: (file) =>
      this.#step(() => {
        const lengths = this.#lengthsOf(file);
        lengths.synced = lengths.written;
      }),
    rename: (from, to) =>
      this.#step(() => {
        systemDisk.rename(from, to);
        this.#unsynced.push({ kind: "renamed", from, to });
      }),
    remove: (path) =>
      this.#step(() => {
        if (!existsSync(path)) return;
        const copy = join(this.#attic, `${this.#copies++}`);
        renameSync(path, copy);
        this.#unsynced.push({ kind: "removed", path, copy });
      }),
    syncFolder: (path) =>
      this.#step(() => {
        this.#unsynced = this.#unsynced.filter((change) =>
          dirname(change.kind === "renamed" ? change.to : change.path) !== path
        );
      }),
  };

  /** Keeps the index as it is now: a power loss may set it back to here. */
  keepIndex(): void {
    const to = join(this.#attic, `index${this.#indexes++}`);
    mkdirSync(to);
    for (const suffix of ["", "-wal"]) copyIfThere(join(this.#root, `index.sqlite${suffix}`), to);
  }

  /** What is there after kill -9, as a copy. */
  afterKill(): string {
    const to = `${this.#root}.kill`;
    rmSync(to, { recursive: true, force: true });
    cpSync(this.#root, to, { recursive: true });
    return to;
  }

  /** What is there after a power loss, as a copy: `pick` chooses among what may or may not have reached the disk. */
  afterPowerLoss(pick: (choices: number) => number): string {
    const to = this.afterKill();
    const moved = (path: string): string => join(to, path.slice(this.#root.length));
    for (const [path, { written, synced }] of this.#lengths) {
      if (written > synced && existsSync(moved(path))) truncateSync(moved(path), synced + pick(written - synced + 1));
    }
    // A file system undoes changes of names from the latest on.
    for (let undo = pick(this.#unsynced.length + 1); undo > 0; undo -= 1) {
      const change = this.#unsynced[this.#unsynced.length - undo];
      if (change !== undefined) undoChange(change, moved);
    }
    // As it was at the crash, set back, or of no use at all.
    const index = pick(this.#indexes + 2);
    if (index > this.#indexes) {
      for (const suffix of ["", "-wal"]) rmSync(join(to, `index.sqlite${suffix}`), { force: true });
    }
    if (index < this.#indexes) {
      for (const suffix of ["", "-wal"]) {
        rmSync(join(to, `index.sqlite${suffix}`), { force: true });
        copyIfThere(join(this.#attic, `index${index}`, `index.sqlite${suffix}`), to);
      }
    }
    return to;
  }

  remove(): void {
    for (const path of [this.#attic, `${this.#root}.kill`]) rmSync(path, { recursive: true, force: true });
  }

  #step<T>(work: () => T): T {
    if (this.hasCrashed) throw new Crash("the machine is off");
    this.#steps += 1;
    if (this.hasCrashed) throw new Crash("the machine goes off");
    return work();
  }

  #lengthsOf(file: number): { written: number; synced: number } {
    const lengths = this.#lengths.get(this.#paths.get(file) ?? "");
    if (lengths === undefined) throw new Error(`simulate disk: file ${file} was not created here`);
    return lengths;
  }
}

function undoChange(change: Unsynced, moved: (path: string) => string): void {
  if (change.kind === "created") rmSync(moved(change.path), { force: true });
  else if (change.kind === "renamed") {
    if (existsSync(moved(change.to))) renameSync(moved(change.to), moved(change.from));
  } else if (!existsSync(moved(change.path))) cpSync(change.copy, moved(change.path));
}

function copyIfThere(path: string, folder: string): void {
  if (existsSync(path)) cpSync(path, join(folder, basename(path)));
  else if (!path.endsWith("-wal")) writeFileSync(join(folder, basename(path)), "");
}
