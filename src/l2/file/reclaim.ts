import { crc32 } from "node:zlib";
import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ObjectIndex } from "./index.ts";
import type { IndexRow, Place } from "./place.ts";
import { decodeRecord, encodeRecord, type RecordHead } from "./record.ts";
import type { Removals } from "./removals.ts";
import type { Segments } from "./segments.ts";

/** What Reclaim is made of. */
export interface ReclaimOptions {
  readonly tier: string;
  readonly publish: Publish<EventMap>;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly removals: Removals;
  /** A segment's file is gone: who has it open may close it. */
  readonly onDropped: (segment: number) => void;
}

interface Moved {
  readonly row: IndexRow;
  readonly bytes: Uint8Array;
}

/** Gives the room of dead records back: drops segments in which nothing lives, and moves what lives out of those that are half empty. */
export class Reclaim {
  readonly #options: ReclaimOptions;

  constructor(options: ReclaimOptions) {
    this.#options = options;
  }

  /** An entry has left the index, or lies somewhere else now. */
  removed(place: Place, bytes: number): void {
    if (place.kind === "record") this.#options.segments.addLive(place.segment, -bytes);
  }

  /** Drops every sealed segment in which nothing lives. */
  dropEmpty(): void {
    for (const id of this.#options.segments.empty()) this.#empty(id, []);
  }

  /** Drops the oldest segment with all that lives in it: for a disk on which nothing can be written, not even what was removed. */
  dropOldest(): void {
    const { index, segments, removals, onDropped } = this.#options;
    const [id] = segments.ids;
    if (id === undefined) return;
    const rows = index.inSegment(id);
    segments.drop(id);
    index.transaction(() => index.forgetSegment(id));
    removals.publish(rows, "capacity");
    onDropped(id);
  }

  /** Moves the live records out of the sealed segment that frees most; false if none is half empty. */
  compactSparsest(): boolean {
    const { index, segments, removals } = this.#options;
    const id = segments.sparsest();
    if (id === undefined) return false;
    const { sound, damaged } = this.#liveIn(id);
    if (damaged.length > 0) {
      index.transaction(() => {
        for (const row of damaged) index.remove(row);
      });
      for (const row of damaged) this.removed(row.place, row.bytes);
      removals.publish(damaged, "corrupt");
    }
    this.#empty(id, sound);
    return true;
  }

  /** Moves records, and the tombstones that older segments need, to the end of the log, durably; then drops the segment. */
  #empty(id: number, moved: readonly Moved[]): void {
    const { index, segments } = this.#options;
    const ends = segments.ids.some((other) => other < id) ? index.endsIn(id) : [];
    const heads: readonly RecordHead[] = ends.map(({ kind, key }) =>
      kind === "clear" ? { kind, tenant: key.tenant } : { kind, key }
    );
    const buffers = [...moved.map(({ bytes }) => bytes), ...heads.map((head) => encodeRecord(head))];
    const to = buffers.length > 0 ? segments.append(buffers) : undefined;
    // What replaced the dead records may not be on stable storage yet.
    segments.sync();
    if (to !== undefined) {
      index.transaction(() => {
        let offset = to.position;
        for (const { row, bytes } of moved) {
          index.move(row, { segment: to.id, offset });
          offset += bytes.length;
        }
        for (const end of ends) index.addEnd(to.id, end);
        index.noteSegment(to.id, segments.bytesOf(to.id));
      });
      for (const { row, bytes } of moved) {
        segments.addLive(to.id, bytes.length);
        this.removed(row.place, row.bytes);
      }
    }
    const copiedBytes = moved.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#options.publish("l2.reclaimed", { tier: this.#options.tier, bytes: segments.bytesOf(id), copiedBytes });
    segments.drop(id);
    index.transaction(() => index.forgetSegment(id));
    this.#options.onDropped(id);
  }

  /** The records of a segment that the index refers to, verified. */
  #liveIn(id: number): { readonly sound: readonly Moved[]; readonly damaged: readonly IndexRow[] } {
    const { index, segments } = this.#options;
    const all = segments.read(id, 0, segments.bytesOf(id)) ?? new Uint8Array();
    const sound: Moved[] = [];
    const damaged: IndexRow[] = [];
    for (const row of index.inSegment(id)) {
      const offset = row.place.kind === "record" ? row.place.offset : 0;
      const bytes = all.subarray(offset, offset + row.bytes);
      if (holdsObject(bytes, row)) sound.push({ row, bytes });
      else damaged.push(row);
    }
    return { sound, damaged };
  }
}

/** The payload of a record if it is whole and the one that the index means. */
export function payloadOf(bytes: Uint8Array, { key, meta }: Pick<IndexRow, "key" | "meta">): Uint8Array | undefined {
  const record = decodeRecord(bytes);
  if (record?.head.kind !== "object" || record.headBytes + record.payloadBytes !== bytes.length) return undefined;
  const { head } = record;
  if (head.key.key !== key.key || head.key.tenant !== key.tenant || head.meta.version !== meta.version) {
    return undefined;
  }
  const payload = bytes.subarray(record.headBytes);
  return crc32(payload) === meta.crc32 ? payload : undefined;
}

function holdsObject(bytes: Uint8Array, row: IndexRow): boolean {
  return payloadOf(bytes, row) !== undefined;
}
