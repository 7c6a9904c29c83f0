import type { Failure } from "../../core/threads.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { Precondition } from "../../core/object.ts";
import type { PutResult } from "../storage.ts";
import type { RoomRequest } from "./store_room.ts";
import type { FollowedWrite, StagedWrite, StreamRequest, VerifiedWrite } from "./tier_changes.ts";

/** A chunk of a stream, in its window. The first one opens the stream. */
export interface AskedChunk {
  readonly kind: "chunk";
  readonly stream: number;
  readonly opens: { readonly request: StreamRequest; readonly window: SharedArrayBuffer } | undefined;
  readonly start: number;
  readonly end: number;
}

/** Ends a stream, which then becomes visible. */
export interface AskedFinish {
  readonly kind: "finish";
  readonly stream: number;
  readonly write: VerifiedWrite;
}

/** A request of a worker. */
export type Asked =
  | { readonly kind: "put"; readonly write: StagedWrite }
  | AskedChunk
  | AskedFinish
  | { readonly kind: "room"; readonly request: RoomRequest }
  | {
    readonly kind: "delete";
    readonly key: ObjectKey;
    readonly precondition: Precondition | undefined;
    /** Deadline in monotonic milliseconds. No client waits for the delete after it, so it must not happen then. */
    readonly untilMs: number;
  }
  | { readonly kind: "clear"; readonly tenant: string | undefined; readonly tier: string | undefined };

/** A message from a worker to the owner of the tiers. Messages of one turn of the event loop are sent together. */
export type ToOwner =
  | { readonly kind: "asked"; readonly id: number; readonly asked: Asked }
  /** The write that was given room by this request has tried to use it. */
  | { readonly kind: "tried"; readonly id: number }
  /** The stream was aborted. */
  | { readonly kind: "aborted"; readonly stream: number }
  | { readonly kind: "wake"; readonly followed: FollowedWrite | undefined };

/** The owner's answer to each kind of request. */
export interface Answers {
  readonly put: PutResult;
  readonly chunk: undefined;
  readonly finish: PutResult;
  readonly room: undefined;
  readonly delete: boolean;
  readonly clear: Readonly<Record<string, number>>;
}

/** A message from the owner to a worker. Messages of one turn of the event loop are sent together. */
export type FromOwner =
  | { readonly kind: "answered"; readonly id: number; readonly value: Answers[Asked["kind"]] }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };
