import type { Failure } from "../../../core/threads.ts";
import type { ListPage, ListQuery, TierUsage } from "../../adapter.ts";
import type { ObjectKey } from "../../../core/key.ts";
import type { IndexRow } from "../place.ts";

/** A call of FolderCalls as it crosses threads. */
export type FolderCall =
  | { readonly method: "find"; readonly key: ObjectKey; readonly use: boolean }
  | { readonly method: "damaged"; readonly row: IndexRow }
  | { readonly method: "list"; readonly query: ListQuery }
  | { readonly method: "usage" };

/** The result of each call. */
export interface FolderAnswers {
  readonly find: IndexRow | undefined;
  readonly damaged: boolean;
  readonly list: ListPage;
  readonly usage: TierUsage;
}

/** The result of a call, of any kind. */
export type FolderAnswer = FolderAnswers[FolderCall["method"]];

/** Calls of one thread to the owner of the folders, in order. `tier` counts the tiers from 0. */
export interface ToOwner {
  readonly calls: readonly { readonly id: number; readonly tier: number; readonly call: FolderCall }[];
}

/** A message of the owner to one thread. */
export type FromOwner =
  | { readonly kind: "answers"; readonly answers: readonly Answer[] }
  | { readonly kind: "dropped"; readonly tier: number; readonly segment: number }
  /** Why a folder cannot be used for now; undefined if it can. */
  | { readonly kind: "trouble"; readonly tier: number; readonly trouble: string | undefined };

/** How one call ended. */
export type Answer =
  | { readonly id: number; readonly value: FolderAnswer }
  | { readonly id: number; readonly failure: Failure };
