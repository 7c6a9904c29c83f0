import type { ObjectKey, ObjectMeta } from "../../../core/object.ts";
import type { Failure } from "../../../core/threads.ts";
import type { ListPage, ListQuery, TierUsage } from "../../adapter.ts";
import type { IndexRow, KeyPage, SmallChange } from "../folder_calls.ts";

/** The start of a large object that passes through a window of shared memory. */
export interface OpenedStream {
  readonly key: ObjectKey;
  readonly sizeBytes: number | undefined;
  /** As in StoreSource. */
  readonly atHand: ObjectMeta | undefined;
  readonly durable: boolean;
  readonly window: SharedArrayBuffer;
}

/** A call to the owner of the folders. Calls that change something come from the owner of the tiers only. */
export type FolderCall =
  | { readonly method: "find"; readonly key: ObjectKey; readonly use: boolean }
  | { readonly method: "has"; readonly keys: readonly ObjectKey[] }
  | { readonly method: "damaged"; readonly row: IndexRow }
  | { readonly method: "list"; readonly query: ListQuery }
  | { readonly method: "usage" }
  | { readonly method: "keys"; readonly after: number; readonly limit: number }
  | { readonly method: "change"; readonly change: SmallChange }
  | { readonly method: "clear"; readonly tenant: string | undefined }
  /** Bytes of a large object, in its window. The first chunk opens the stream. */
  | {
    readonly method: "chunk";
    readonly stream: number;
    readonly opens: OpenedStream | undefined;
    readonly start: number;
    readonly end: number;
  }
  /** All bytes of a large object have been sent. */
  | { readonly method: "finish"; readonly stream: number; readonly meta: ObjectMeta }
  /** Answers the question whether a large object is still wanted. */
  | { readonly method: "confirm"; readonly stream: number; readonly isWanted: boolean }
  | { readonly method: "abort"; readonly stream: number };

/** The result type of each call. */
export interface FolderAnswers {
  readonly find: IndexRow | undefined;
  readonly has: readonly boolean[];
  readonly damaged: boolean;
  readonly list: ListPage;
  readonly usage: TierUsage;
  readonly keys: KeyPage;
  /** True if there was an object before. */
  readonly change: boolean;
  readonly clear: number;
  readonly chunk: undefined;
  readonly finish: undefined;
  readonly confirm: undefined;
  readonly abort: undefined;
}

/** The result of any call. */
export type FolderAnswer = FolderAnswers[FolderCall["method"]];

/** Calls of one thread to the owner of the folders, in order. `tier` is the tier's index, from 0. */
export interface ToOwner {
  readonly calls: readonly { readonly id: number; readonly tier: number; readonly call: FolderCall }[];
}

/** A message from the owner to one thread. */
export type FromOwner =
  | { readonly kind: "answers"; readonly answers: readonly Answer[] }
  | { readonly kind: "dropped"; readonly tier: number; readonly segment: number }
  /** `trouble`: the reason why the folder is unusable; undefined while it is usable. */
  | { readonly kind: "trouble"; readonly tier: number; readonly trouble: string | undefined }
  /** None of the objects that this call clears is visible any more. */
  | { readonly kind: "invisible"; readonly id: number }
  /** Asks whether a large object is still wanted: it needs only the step that makes it visible. */
  | { readonly kind: "confirm"; readonly tier: number; readonly stream: number };

/** The outcome of one call. */
export type Answer =
  | { readonly id: number; readonly value: FolderAnswer }
  | { readonly id: number; readonly failure: Failure };
