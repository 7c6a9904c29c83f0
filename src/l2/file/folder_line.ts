import { Batch } from "../../core/coalesce.ts";
import { VitrineError } from "../../core/errors.ts";
import { errorOf, type Failure, type Port } from "../../core/threads.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ListPage, ListQuery, TierUsage } from "../adapter.ts";
import type { FolderLine } from "../kind.ts";
import type { IndexRow } from "./place.ts";
import type { FolderCalls } from "./store_calls.ts";

interface Waiting {
  readonly tier: number;
  readonly call: FolderCall;
  readonly resolve: (value: FolderAnswer) => void;
  readonly reject: (error: VitrineError) => void;
}

/** This thread's state of one folder. */
interface FolderState {
  readonly onDropped: (segment: number) => void;
  trouble: string | undefined;
}

/**
 * A worker's connection to the owner of the folders. Answers may come in any order. If the owner ends, unanswered calls
 * are sent again to its successor.
 */
export class OwnerLine implements FolderLine {
  readonly #waiting = new Map<number, Waiting>();
  readonly #folders = new Map<number, FolderState>();
  #port: Port<ToOwner, FromOwner> | undefined;
  /** Sends all calls of one turn of the event loop in one message. */
  readonly #unsent = new Batch<ToOwner["calls"][number]>((calls) => this.#port?.post({ calls }));
  #lastId = 0;
  #closed = false;

  /** Connects to a new owner. */
  connect(port: Port<ToOwner, FromOwner>): void {
    this.#port?.close();
    this.#port = port;
    for (const state of this.#folders.values()) state.trouble = undefined;
    port.listen(
      (message) => this.#hear(message),
      () => {
        if (this.#port === port) this.#port = undefined;
      },
    );
    this.#unsent.clear();
    const again = [...this.#waiting].map(([id, { tier, call }]) => ({ id, tier, call }));
    if (again.length > 0) port.post({ calls: again });
  }

  reader(tier: number, onDropped: (segment: number) => void): FolderCalls {
    const state: FolderState = { onDropped, trouble: undefined };
    this.#folders.set(tier, state);
    const ask = async <M extends FolderCall["method"]>(
      call: FolderCall & { readonly method: M },
    ): Promise<FolderAnswers[M]> => {
      const answer = await this.#ask(tier, call);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the owner answers each call with what it gives
      return answer as FolderAnswers[M];
    };
    return {
      get trouble() {
        return state.trouble;
      },
      find: (key: ObjectKey, use: boolean) => ask({ method: "find", key, use }),
      damaged: (row: IndexRow) => ask({ method: "damaged", row }),
      list: (query: ListQuery) => ask({ method: "list", query }),
      usage: () => ask({ method: "usage" }),
    };
  }

  /** Closes the connection; unanswered calls fail. */
  close(): void {
    this.#closed = true;
    this.#port?.close();
    this.#port = undefined;
    for (const { reject } of this.#waiting.values()) {
      reject(new VitrineError("tier_failed", "ask storage thread: closed"));
    }
    this.#waiting.clear();
  }

  #ask(tier: number, call: FolderCall): Promise<FolderAnswer> {
    if (this.#closed) return Promise.reject(new VitrineError("tier_failed", "ask storage thread: closed"));
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      this.#waiting.set(this.#lastId, { tier, call, resolve, reject });
      this.#unsent.add({ id: this.#lastId, tier, call });
    });
  }

  #hear(message: FromOwner): void {
    if (message.kind === "dropped") {
      this.#folders.get(message.tier)?.onDropped(message.segment);
      return;
    }
    if (message.kind === "trouble") {
      const state = this.#folders.get(message.tier);
      if (state !== undefined) state.trouble = message.trouble;
      return;
    }
    for (const answer of message.answers) {
      const waiting = this.#waiting.get(answer.id);
      if (waiting === undefined) continue;
      this.#waiting.delete(answer.id);
      if ("failure" in answer) waiting.reject(errorOf(answer.failure));
      else waiting.resolve(answer.value);
    }
  }
}

/** A call of FolderCalls, as sent between threads. */
export type FolderCall =
  | { readonly method: "find"; readonly key: ObjectKey; readonly use: boolean }
  | { readonly method: "damaged"; readonly row: IndexRow }
  | { readonly method: "list"; readonly query: ListQuery }
  | { readonly method: "usage" };

/** The result type of each call. */
export interface FolderAnswers {
  readonly find: IndexRow | undefined;
  readonly damaged: boolean;
  readonly list: ListPage;
  readonly usage: TierUsage;
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
  | { readonly kind: "trouble"; readonly tier: number; readonly trouble: string | undefined };

/** The outcome of one call. */
export type Answer =
  | { readonly id: number; readonly value: FolderAnswer }
  | { readonly id: number; readonly failure: Failure };
