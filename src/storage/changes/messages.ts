import type { Failure } from "../../core/threads.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta, Precondition } from "../../core/object.ts";
import type { PutResult } from "../types.ts";
import type { FollowedWrite, StagedWrite, StreamedWrite } from "./tier_changes.ts";

/** A change that a worker asks for. */
export type Asked =
  | { readonly kind: "put"; readonly write: StagedWrite }
  /** Answered with "granted" when it is the worker's turn to finish; it then says "finished". */
  | { readonly kind: "stream"; readonly write: StreamedWrite }
  | {
    readonly kind: "delete";
    readonly key: ObjectKey;
    readonly precondition: Precondition | undefined;
    /** Monotonic milliseconds from which on nobody waits for it, so that it must not happen. */
    readonly untilMs: number;
  }
  | { readonly kind: "clear"; readonly tenant: string | undefined; readonly tier: string | undefined };

/** The outcome in one tier of a stream's last step, which a worker was granted. */
export interface FinishedTier {
  readonly failure: Failure | undefined;
  readonly isInDoubt: boolean;
}

/** A message of a worker to the owner of the tiers; all of one turn go together. */
export type ToOwner =
  | { readonly kind: "asked"; readonly id: number; readonly asked: Asked }
  /** Tier by tier. undefined: it has given up, and made nothing visible. */
  | { readonly kind: "finished"; readonly id: number; readonly tiers: readonly FinishedTier[] | undefined }
  | { readonly kind: "wake"; readonly followed: FollowedWrite | undefined };

/** The answer of the owner to each kind of change. */
export interface Answers {
  readonly put: PutResult;
  readonly stream: PutResult;
  readonly delete: boolean;
  readonly clear: Readonly<Record<string, number>>;
}

/** A message of the owner to a worker; all of one turn go together. */
export type FromOwner =
  | { readonly kind: "granted"; readonly id: number; readonly meta: ObjectMeta }
  | { readonly kind: "answered"; readonly id: number; readonly value: Answers[Asked["kind"]] }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };
