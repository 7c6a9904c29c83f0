import { Batch } from "../../../core/coalesce.ts";
import { VitrineError } from "../../../core/errors.ts";
import { errorOf, type Port } from "../../../core/threads.ts";
import type { ObjectKey } from "../../../core/key.ts";
import type { ListQuery } from "../../adapter.ts";
import type { Change, StoreCalls } from "../store_calls.ts";
import type { FromOwner, StoreAnswer, StoreAnswers, StoreCall, ToOwner } from "./messages.ts";

interface Waiting {
  readonly tier: number;
  readonly call: StoreCall;
  readonly onInvisible: (() => void) | undefined;
  readonly resolve: (value: StoreAnswer) => void;
  readonly reject: (error: VitrineError) => void;
}

/** What this thread knows of one folder. */
interface StoreState {
  readonly onDropped: (segment: number) => void;
  heldBytes: number;
  trouble: string | undefined;
}

/**
 * This thread's line to the owner of the folders. Calls are answered in any order, and take effect in the order in
 * which they are made. If the owner ends, calls wait for the next one, which gets those that were not answered once
 * more: a change that its predecessor had made is then made a second time, which changes nothing but the answer of a
 * deletion.
 */
export class OwnerLine {
  readonly #waiting = new Map<number, Waiting>();
  readonly #stores = new Map<number, StoreState>();
  #port: Port<ToOwner, FromOwner> | undefined;
  /** All calls of one turn go in one message. */
  readonly #unsent = new Batch<ToOwner["calls"][number]>((calls) => this.#port?.post({ calls }));
  readonly #asksAgain: boolean;
  #lastId = 0;
  #closed = false;

  /**
   * `asksAgain`: whether the next owner is asked again for the stores that the last one has not answered. Not where the
   * last one also ordered them (storage/changes): they fail with it. Default: it is.
   */
  constructor({ asksAgain = true }: { readonly asksAgain?: boolean } = {}) {
    this.#asksAgain = asksAgain;
  }

  /** The owner is reached here from now on. */
  connect(port: Port<ToOwner, FromOwner>): void {
    this.#port?.close();
    this.#lost();
    this.#port = port;
    for (const state of this.#stores.values()) state.trouble = undefined;
    port.listen(
      (message) => this.#hear(message),
      () => {
        if (this.#port !== port) return;
        this.#port = undefined;
        this.#lost();
      },
    );
    const again = [...this.#waiting].map(([id, { tier, call }]) => ({ id, tier, call: againOf(call) }));
    this.#unsent.clear();
    const held = [...this.#stores].filter(([, { heldBytes }]) => heldBytes > 0).map(([tier, { heldBytes }]) => ({
      id: 0,
      tier,
      call: { method: "hold", bytes: heldBytes, heldBytes: 0 } as const,
    }));
    if (held.length + again.length > 0) port.post({ calls: [...held, ...again] });
  }

  /** The folder of one tier. `onDropped` is told of segments whose files are gone. */
  store(tier: number, onDropped: (segment: number) => void): StoreCalls {
    const state: StoreState = { onDropped, heldBytes: 0, trouble: undefined };
    this.#stores.set(tier, state);
    const ask = async <M extends StoreCall["method"]>(
      call: StoreCall & { readonly method: M },
      onInvisible?: () => void,
    ): Promise<StoreAnswers[M]> => {
      const answer = await this.#ask(tier, call, onInvisible);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the owner answers each call with what it gives
      return answer as StoreAnswers[M];
    };
    return {
      get trouble() {
        return state.trouble;
      },
      find: (key: ObjectKey, use: boolean) => ask({ method: "find", key, use }),
      change: async (change: Change) => {
        try {
          return await ask({ method: "change", change });
        } finally {
          if (change.kind === "file") state.heldBytes -= change.heldBytes;
        }
      },
      hold: async (bytes: number, heldBytes: number) => {
        const held = await ask({ method: "hold", bytes, heldBytes });
        state.heldBytes += held - heldBytes;
        return held;
      },
      release: (bytes: number) => {
        state.heldBytes -= bytes;
        void ask({ method: "release", bytes }).catch(() => undefined);
      },
      relieve: (bytes: number) => ask({ method: "relieve", bytes }),
      clear: (tenant: string | undefined, onInvisible?: () => void) => ask({ method: "clear", tenant }, onInvisible),
      list: (query: ListQuery) => ask({ method: "list", query }),
      usage: () => ask({ method: "usage" }),
      close: () => Promise.resolve(),
    };
  }

  /** Ends the line; calls that were not answered fail. */
  close(): void {
    this.#closed = true;
    this.#port?.close();
    this.#port = undefined;
    for (const { reject } of this.#waiting.values()) {
      reject(new VitrineError("tier_failed", "ask storage thread: closed"));
    }
    this.#waiting.clear();
  }

  #ask(tier: number, call: StoreCall, onInvisible?: () => void): Promise<StoreAnswer> {
    if (this.#closed) return Promise.reject(new VitrineError("tier_failed", "ask storage thread: closed"));
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      this.#waiting.set(this.#lastId, { tier, call, onInvisible, resolve, reject });
      this.#unsent.add({ id: this.#lastId, tier, call });
    });
  }

  /** The owner is gone: what it was asked to store fails, unless the next one is asked again. */
  #lost(): void {
    if (this.#asksAgain) return;
    for (const [id, { call, reject }] of this.#waiting) {
      if (call.method !== "change" || (call.change.kind !== "record" && call.change.kind !== "file")) continue;
      this.#waiting.delete(id);
      reject(new VitrineError("tier_failed", "store in folder: the storage thread has ended"));
    }
  }

  #hear(message: FromOwner): void {
    if (message.kind === "dropped") {
      this.#stores.get(message.tier)?.onDropped(message.segment);
      return;
    }
    if (message.kind === "trouble") {
      const state = this.#stores.get(message.tier);
      if (state !== undefined) state.trouble = message.trouble;
      return;
    }
    if (message.kind === "invisible") {
      this.#waiting.get(message.id)?.onInvisible?.();
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

function againOf(call: StoreCall): StoreCall {
  if (call.method !== "change") return call;
  const { change } = call;
  return change.kind === "record" || change.kind === "file"
    ? { method: "change", change: { ...change, again: true } }
    : call;
}
