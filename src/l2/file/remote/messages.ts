import type { Failure } from "../../../core/threads.ts";
import type { ListPage, ListQuery, TierUsage } from "../../adapter.ts";
import type { ObjectKey } from "../../../core/key.ts";
import type { IndexRow } from "../place.ts";
import type { Change } from "../store_calls.ts";

/** A call of StoreCalls as it crosses threads. */
export type StoreCall =
  | { readonly method: "find"; readonly key: ObjectKey; readonly use: boolean }
  | { readonly method: "change"; readonly change: Change }
  | { readonly method: "hold"; readonly bytes: number; readonly heldBytes: number }
  | { readonly method: "release"; readonly bytes: number }
  | { readonly method: "relieve"; readonly bytes: number }
  | { readonly method: "clear"; readonly tenant: string | undefined }
  | { readonly method: "list"; readonly query: ListQuery }
  | { readonly method: "usage" };

/** What each call gives. */
export interface StoreAnswers {
  readonly find: IndexRow | undefined;
  readonly change: boolean;
  readonly hold: number;
  readonly release: undefined;
  readonly relieve: boolean;
  readonly clear: number;
  readonly list: ListPage;
  readonly usage: TierUsage;
}

/** What a call gives, whichever. */
export type StoreAnswer = StoreAnswers[StoreCall["method"]];

/** Calls of one thread to the owner of the folders, in order. `tier` counts the tiers from 0. */
export interface ToOwner {
  readonly calls: readonly { readonly id: number; readonly tier: number; readonly call: StoreCall }[];
}

/** What the owner says to one thread. */
export type FromOwner =
  | { readonly kind: "answers"; readonly answers: readonly Answer[] }
  | { readonly kind: "dropped"; readonly tier: number; readonly segment: number }
  /** Why a folder cannot be used for now; undefined if it can. */
  | { readonly kind: "trouble"; readonly tier: number; readonly trouble: string | undefined }
  /** What a clear takes away is out of sight. */
  | { readonly kind: "invisible"; readonly id: number };

/** How one call ended. */
export type Answer =
  | { readonly id: number; readonly value: StoreAnswer }
  | { readonly id: number; readonly failure: Failure };
