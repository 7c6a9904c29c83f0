import type { Clock } from "../../../core/clock.ts";
import { VitrineError } from "../../../core/errors.ts";
import type { Publish } from "../../../core/events.ts";
import { isExpired } from "../../../core/object.ts";
import type { EventMap } from "../../../events/catalogue.ts";
import { type BlockingDisk, errorCode } from "../disk.ts";
import type { Change, IndexRow } from "../folder_calls.ts";
import type { Layout } from "../layout.ts";
import type { Clears } from "./clears.ts";
import type { Identity } from "./identity.ts";
import type { ObjectIndex } from "./index.ts";
import type { Reclaim, Removals } from "./reclaim.ts";
import { encodeRecord } from "./record.ts";
import type { Appended, Segments } from "./segments.ts";
import type { Space } from "./space.ts";

/** Options of Commits. */
export interface CommitsOptions {
  readonly tier: string;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly space: Space;
  readonly identity: Identity;
  readonly removals: Removals;
  readonly reclaim: Reclaim;
  readonly clears: Clears;
  readonly layout: Layout;
  readonly disk: BlockingDisk;
  readonly clock: Clock;
  readonly publish: Publish<EventMap>;
}

/** A requested change and its promise. */
export interface PendingChange {
  readonly change: Change;
  readonly resolve: (existed: boolean) => void;
  readonly reject: (reason: unknown) => void;
}

interface Outcome {
  /** The key's previous entry; undefined if there was none. */
  readonly old: IndexRow | undefined;
  readonly reason: "replaced" | "deleted" | "corrupt" | "cleared";
}

/** A change with its record, which is empty if it needs none, and the record's offset from the start of the batch. */
interface Planned extends PendingChange {
  readonly record: readonly Uint8Array[];
  /** Room reserved for the record until all records of the batch are written. */
  readonly heldBytes: number;
  /** The final name of a file that was renamed to it; "" if the change has no file. */
  readonly name: string;
  offset: number;
}

/**
 * Commits many changes in one step: one write for their records, one fdatasync if any must be durable, and one
 * transaction of the index. Readers see the whole batch or nothing of it. If a step fails, the whole batch fails and
 * the folder is as it was before.
 */
export class Commits {
  readonly #options: CommitsOptions;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  /** Commits the changes in order and settles the promise of each; never throws. */
  commit(batch: readonly PendingChange[]): void {
    const planned = batch.map((pending) => this.#plan(pending)).filter((plan) => plan !== undefined);
    if (planned.length === 0) return;
    try {
      const outcomes = this.#make(planned);
      for (const [at, { resolve }] of planned.entries()) resolve(outcomes[at] !== undefined);
    } catch (error) {
      for (const { reject } of planned) reject(error);
    } finally {
      for (const { change, heldBytes } of planned) {
        this.#options.space.release(heldBytes + (change.kind === "file" ? change.heldBytes : 0));
      }
    }
  }

  /**
   * Reserves room for a change's record and renames its file. If that fails, only this change is rejected, and the
   * result is undefined.
   */
  #plan(pending: PendingChange): Planned | undefined {
    const { space, segments } = this.#options;
    const { change } = pending;
    const record = recordOf(change, !segments.areNone);
    try {
      const heldBytes = this.#hold(change, lengthOf(record));
      try {
        return { ...pending, record, heldBytes, name: change.kind === "file" ? this.#rename(change) : "", offset: 0 };
      } catch (error) {
        space.release(heldBytes);
        throw error;
      }
    } catch (error) {
      if (change.kind === "file") space.release(change.heldBytes);
      pending.reject(error);
      return undefined;
    }
  }

  /** Reserves room for a record, so that no other takes it. A tombstone needs no reservation, because it frees room. */
  #hold(change: Change, bytes: number): number {
    try {
      return bytes === 0 ? 0 : this.#options.space.hold(bytes, 0);
    } catch (error) {
      if (change.kind !== "delete" || !(error instanceof VitrineError) || error.code !== "no_room") throw error;
      return 0;
    }
  }

  #make(planned: readonly Planned[]): readonly (IndexRow | undefined)[] {
    const { index, segments, space, identity, layout, removals, reclaim, clears, clock, publish, tier } = this.#options;
    const startMs = performance.now();
    const durable = planned.some(({ change }) => change.kind !== "damaged" && change.durable);
    const renamed = planned.map(({ name }) => name).filter((name) => name !== "");
    let appended: Appended | undefined;
    let syncSeconds = 0;
    let outcomes: readonly Outcome[];
    try {
      const syncMs = performance.now();
      // A record must not reach the disk before the file that it names.
      if (durable) {
        for (const folder of new Set(renamed.map((name) => layout.folderOf(name)))) {
          this.#options.disk.syncFolder(folder);
        }
        syncSeconds = (performance.now() - syncMs) / 1000;
      }
      appended = this.#append(planned);
      segments.pinned = appended?.id;
      if (durable) {
        const appendedMs = performance.now();
        segments.sync();
        syncSeconds += (performance.now() - appendedMs) / 1000;
      }
      identity.assertSame();
      outcomes = space.relieved(0, () =>
        index.transaction(() => {
          const made = planned.map((plan) => this.#apply(plan, appended));
          const segment = segments.get(appended?.id ?? 0);
          if (appended !== undefined && segment !== undefined) index.noteSegment(appended.id, segment);
          return made;
        }));
    } catch (error) {
      if (appended !== undefined) segments.cutBack(appended);
      removals.removeNames(renamed);
      throw error;
    } finally {
      segments.pinned = undefined;
    }
    this.#settle(planned, outcomes, appended);
    publish("l2.committed", { tier, changes: planned.length });
    publish("l2.commit.timed", { tier, part: "commit", seconds: (performance.now() - startMs) / 1000 });
    if (durable) publish("l2.commit.timed", { tier, part: "sync", seconds: syncSeconds });
    const cleared = rowsOf(outcomes.filter(({ reason }) => reason === "cleared"), () => true);
    removals.notify(cleared, "cleared");
    for (const row of cleared) clears.count(row);
    const nowMs = clock.nowMs();
    const expired = outcomes.filter(({ reason }) => reason !== "cleared");
    removals.publish(rowsOf(expired, (row) => isExpired(row.meta, nowMs)), "expired");
    for (const reason of ["replaced", "deleted", "corrupt"] as const) {
      const gone = outcomes.filter((outcome) => outcome.reason === reason);
      removals.publish(rowsOf(gone, (row) => !isExpired(row.meta, nowMs)), reason);
    }
    reclaim.dropEmpty();
    return outcomes.map(({ old, reason }) =>
      old === undefined || reason === "cleared" || isExpired(old.meta, nowMs) ? undefined : old
    );
  }

  /** Writes the records of a batch; tries again after an eviction if the disk is full. */
  #append(planned: readonly Planned[]): Appended | undefined {
    const { segments, space } = this.#options;
    const buffers = planned.flatMap(({ record }) => record);
    if (buffers.length === 0) return undefined;
    let offset = 0;
    for (const plan of planned) {
      plan.offset = offset;
      offset += lengthOf(plan.record);
    }
    return space.relieved(offset, () => segments.append(buffers));
  }

  #rename(change: Change & { readonly kind: "file" }): string {
    const { layout, disk } = this.#options;
    const name = layout.objectName(change.key, change.meta.version);
    const path = layout.objectPath(name);
    try {
      disk.rename(change.tempPath, path);
    } catch (error) {
      // The folder does not exist yet, or something else is in its place.
      if (!["ENOENT", "ENOTDIR"].includes(errorCode(error))) throw error;
      disk.makeFolder(layout.folderOf(name));
      disk.rename(change.tempPath, path);
    }
    return name;
  }

  /** Applies one change to the index. */
  #apply({ change, record, offset, name }: Planned, appended: Appended | undefined): Outcome {
    const { index } = this.#options;
    if (change.kind === "damaged") {
      return { old: index.remove(change.row) ? change.row : undefined, reason: "corrupt" };
    }
    if (change.kind === "delete") {
      const old = index.removeKey(change.key);
      return { old, reason: this.#reasonOf(old, "deleted") };
    }
    const { key, meta } = change;
    const position = (appended?.position ?? 0) + offset;
    const old = index.put({
      key,
      meta,
      record: { segment: appended?.id ?? 0, offset: position, bytes: lengthOf(record) },
      file: change.kind === "file" ? { name, bytes: change.bytes } : undefined,
    });
    return { old, reason: this.#reasonOf(old, "replaced") };
  }

  /** Returns "cleared" for an entry that a clear has hidden, and `reason` for others. */
  #reasonOf(old: IndexRow | undefined, reason: Outcome["reason"]): Outcome["reason"] {
    return old !== undefined && this.#options.clears.isHidden(old) ? "cleared" : reason;
  }

  /** Updates the live bytes after a transaction and removes files that are no longer needed. */
  #settle(planned: readonly Planned[], outcomes: readonly Outcome[], appended: Appended | undefined): void {
    const { segments, removals, reclaim } = this.#options;
    for (const [at, { change, record, name }] of planned.entries()) {
      const old = outcomes[at]?.old;
      if (change.kind === "record" || change.kind === "file") segments.addLive(appended?.id ?? 0, lengthOf(record));
      if (old === undefined) continue;
      reclaim.removed(old);
      // A file with the same name has just been replaced by the rename.
      if (old.file?.name !== name) removals.removeFiles([old]);
    }
  }
}

/**
 * Returns the record that a change appends. A tombstone ends all earlier records of its key, including those whose
 * objects were evicted from the index: a rebuild of the index would find them again. A damaged object needs no record,
 * because a rebuild finds it damaged again.
 */
function recordOf(change: Change, hasSegments: boolean): readonly Uint8Array[] {
  if (change.kind === "record") {
    return [encodeRecord({ kind: "object", key: change.key, meta: change.meta }), change.payload];
  }
  if (change.kind === "file") {
    return [encodeRecord({ kind: "file", key: change.key, meta: change.meta, fileBytes: change.bytes })];
  }
  return change.kind === "delete" && hasSegments ? [encodeRecord({ kind: "tombstone", key: change.key })] : [];
}

function lengthOf(record: readonly Uint8Array[]): number {
  return record.reduce((sum, bytes) => sum + bytes.length, 0);
}

function rowsOf(outcomes: readonly Outcome[], accept: (row: IndexRow) => boolean): readonly IndexRow[] {
  return outcomes.map(({ old }) => old).filter((old) => old !== undefined).filter(accept);
}
