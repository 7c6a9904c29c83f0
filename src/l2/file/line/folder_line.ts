import { Batch } from "../../../core/coalesce.ts";
import { VitrineError } from "../../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../../core/object.ts";
import { errorOf, type Port } from "../../../core/threads.ts";
import type { StoreSource } from "../../adapter.ts";
import type { FolderLine, FolderOwner } from "../../url.ts";
import type { AdapterFolder } from "../adapter.ts";
import type { FolderCalls } from "../folder_calls.ts";
import type { ObjectFiles } from "../object_files.ts";
import type { FolderAnswer, FolderAnswers, FolderCall, FromOwner, OpenedStream, ToOwner } from "./messages.ts";
import { StreamWindows, WindowWriter } from "../../../core/hand_over.ts";

/** Options of an OwnerLine. */
export interface OwnerLineOptions {
  /** Called when a folder has become unusable or usable, or may contain other objects. Default: none. */
  readonly onTrouble?: () => void;
  /**
   * The reason why the owner does not answer, if that is known. The folders are then unusable, and what only reads
   * fails at once, so that the next tier can be asked. Default: unknown.
   */
  readonly outage?: () => string | undefined;
}

interface Waiting {
  readonly tier: number;
  readonly call: FolderCall;
  readonly onInvisible: (() => void) | undefined;
  isSent: boolean;
  readonly resolve: (value: FolderAnswer) => void;
  readonly reject: (error: VitrineError) => void;
}

/** This thread's state of one folder. */
interface FolderState {
  readonly onDropped: (segment: number) => void;
  files: RemoteFiles | undefined;
  trouble: string | undefined;
}

/** Calls that change nothing, or nothing that matters if they are made twice. */
const REPEATABLE: ReadonlySet<FolderCall["method"]> = new Set(["find", "has", "damaged", "list", "usage", "keys"]);
/** Calls that fail at once while the owner is known not to answer. */
const FAILS_FAST: ReadonlySet<FolderCall["method"]> = new Set(["find", "has", "list", "usage"]);

/**
 * One thread's connection to the owner of the folders. Answers may come in any order. If the owner ends, changes that
 * were sent fail, whether they were made or not: its successor could make them a second time, with another change in
 * between. All other unanswered calls are sent to the successor.
 */
export class OwnerLine implements FolderLine, FolderOwner {
  readonly #onTrouble: () => void;
  readonly #outage: () => string | undefined;
  readonly #waiting = new Map<number, Waiting>();
  readonly #folders = new Map<number, FolderState>();
  #port: Port<ToOwner, FromOwner> | undefined;
  /** Sends all calls of one turn of the event loop in one message. */
  readonly #unsent = new Batch<ToOwner["calls"][number]>((calls) => this.#send(calls));
  #lastId = 0;
  #hadOwner = false;
  #closed = false;

  constructor({ onTrouble = () => {}, outage = () => undefined }: OwnerLineOptions = {}) {
    this.#onTrouble = onTrouble;
    this.#outage = outage;
  }

  /** Connects to a new owner. */
  connect(port: Port<ToOwner, FromOwner>): void {
    this.#disconnect();
    this.#port = port;
    for (const state of this.#folders.values()) state.trouble = undefined;
    port.listen(
      (message) => this.#hear(message),
      () => {
        if (this.#port === port) this.#disconnect();
      },
    );
    this.#unsent.clear();
    const again = [...this.#waiting].map(([id, { tier, call }]) => ({ id, tier, call }));
    if (again.length > 0) this.#send(again);
    // What another owner has opened may contain other objects.
    if (this.#hadOwner) this.#onTrouble();
    this.#hadOwner = true;
  }

  reader(tier: number, onDropped: (segment: number) => void): FolderCalls {
    const state: FolderState = { onDropped, files: undefined, trouble: undefined };
    this.#folders.set(tier, state);
    const outage = this.#outage;
    return {
      get trouble() {
        return state.trouble ?? outage();
      },
      find: (key, use) => this.#ask(tier, { method: "find", key, use }),
      has: (keys) => this.#ask(tier, { method: "has", keys }),
      damaged: (row) => this.#ask(tier, { method: "damaged", row }),
      list: (query) => this.#ask(tier, { method: "list", query }),
      usage: () => this.#ask(tier, { method: "usage" }),
    };
  }

  /** A folder of the owner's, for the owner of the tiers: one thread at a time. */
  store(tier: number, onDropped: (segment: number) => void): AdapterFolder {
    const reads = this.reader(tier, onDropped);
    const files = new RemoteFiles({ ask: (call) => this.#ask(tier, call), nextId: () => this.#nextId() });
    const state = this.#folders.get(tier);
    if (state !== undefined) state.files = files;
    return {
      files,
      folder: {
        get trouble() {
          return reads.trouble;
        },
        find: (key, use) => reads.find(key, use),
        has: (keys) => reads.has(keys),
        damaged: (row) => reads.damaged(row),
        list: (query) => reads.list(query),
        usage: () => reads.usage(),
        change: (change) => this.#ask(tier, { method: "change", change }),
        clear: (tenant, onInvisible) => this.#ask(tier, { method: "clear", tenant }, onInvisible),
        keys: (after, limit) => this.#ask(tier, { method: "keys", after, limit }),
        close: () => Promise.resolve(),
      },
    };
  }

  /** Closes the connection; unanswered calls fail. */
  close(): void {
    this.#closed = true;
    this.#port?.close();
    this.#port = undefined;
    for (const { reject } of this.#waiting.values()) reject(closed());
    this.#waiting.clear();
  }

  async #ask<M extends FolderCall["method"]>(
    tier: number,
    call: FolderCall & { readonly method: M },
    onInvisible?: () => void,
  ): Promise<FolderAnswers[M]> {
    const answer = await new Promise<FolderAnswer>((resolve, reject) => {
      if (this.#closed) throw closed();
      const outage = FAILS_FAST.has(call.method) ? this.#outage() : undefined;
      if (outage !== undefined) throw new VitrineError("tier_failed", `ask owner of folders: ${outage}`);
      const id = this.#nextId();
      this.#waiting.set(id, { tier, call, onInvisible, isSent: false, resolve, reject });
      this.#unsent.add({ id, tier, call });
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the owner answers each call with what it gives
    return answer as FolderAnswers[M];
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #send(calls: ToOwner["calls"]): void {
    if (this.#port === undefined) return;
    for (const { id } of calls) {
      const waiting = this.#waiting.get(id);
      if (waiting !== undefined) waiting.isSent = true;
    }
    this.#port.post({ calls });
  }

  /** Called when the owner is gone. */
  #disconnect(): void {
    this.#port?.close();
    this.#port = undefined;
    for (const { files } of this.#folders.values()) files?.ownerGone();
    for (const [id, { call: { method }, isSent, reject }] of this.#waiting) {
      if (!isSent || REPEATABLE.has(method)) continue;
      this.#waiting.delete(id);
      reject(new VitrineError("tier_failed", `${method} in folder: the thread that owns it has ended`));
    }
  }

  #hear(message: FromOwner): void {
    if (message.kind === "answers") {
      for (const answer of message.answers) {
        const waiting = this.#waiting.get(answer.id);
        this.#waiting.delete(answer.id);
        if ("failure" in answer) waiting?.reject(errorOf(answer.failure));
        else waiting?.resolve(answer.value);
      }
    } else if (message.kind === "invisible") this.#waiting.get(message.id)?.onInvisible?.();
    else this.#hearOf(message, this.#folders.get(message.tier));
  }

  #hearOf(
    message: FromOwner & { readonly kind: "dropped" | "trouble" | "confirm" },
    state: FolderState | undefined,
  ): void {
    if (message.kind === "dropped") state?.onDropped(message.segment);
    else if (message.kind === "confirm") state?.files?.confirm(message.stream);
    else {
      if (state !== undefined) state.trouble = message.trouble;
      this.#onTrouble();
    }
  }
}

function closed(): VitrineError {
  return new VitrineError("tier_failed", "ask owner of folders: closed");
}

/** Sends a call of a stream to the owner of the folder; rejects if it fails there, or if that thread ends. */
type AskStream = (call: FolderCall & { readonly method: "chunk" | "finish" | "confirm" | "abort" }) => Promise<unknown>;

/** An object that is being sent. */
interface Sending {
  /** Throws if the object is not wanted any more. */
  readonly assertWanted: () => void;
  /** True once an owner of the folder has begun to store it. */
  hasBegun: boolean;
  /** True if that owner has ended since. */
  isBroken: boolean;
}

/** The objects that this thread is sending to the owner of one folder, through windows of shared memory. */
export class RemoteFiles implements ObjectFiles {
  readonly #ask: AskStream;
  readonly #nextId: () => number;
  readonly #windows = new StreamWindows();
  /** By stream. */
  readonly #sending = new Map<number, Sending>();

  /** `nextId` gives a number that no other stream of this thread has. */
  constructor({ ask, nextId }: { readonly ask: AskStream; readonly nextId: () => number }) {
    this.#ask = ask;
    this.#nextId = nextId;
  }

  async put(key: ObjectKey, source: StoreSource, durable: boolean): Promise<ObjectMeta> {
    const stream = this.#nextId();
    const window = this.#windows.take();
    const { sizeBytes, atHand } = source;
    let refusal: { readonly error: unknown } | undefined;
    const assertWanted = (): void => {
      try {
        source.assertWanted?.();
      } catch (error) {
        refusal = { error };
        throw error;
      }
    };
    const sending: Sending = { assertWanted, hasBegun: false, isBroken: false };
    this.#sending.set(stream, sending);
    const ask = async (call: Parameters<AskStream>[0]): Promise<void> => {
      if (sending.isBroken) {
        throw new VitrineError("tier_failed", "store object: the thread that owns the folder has ended");
      }
      await this.#ask(call);
      sending.hasBegun = true;
    };
    let opens: OpenedStream | undefined = { key, sizeBytes, atHand, durable, window: window.buffer };
    const writer = new WindowWriter(window, (start, end) => {
      const opened = opens;
      opens = undefined;
      return ask({ method: "chunk", stream, opens: opened, start, end });
    });
    try {
      for await (const chunk of source.chunks) await writer.write(chunk);
      await writer.finish();
      const meta = source.meta();
      await ask({ method: "finish", stream, meta });
      this.#windows.give(window);
      return meta;
    } catch (error) {
      // The owner may still read the window, so it is not used again.
      if (opens === undefined) void this.#ask({ method: "abort", stream }).catch(() => undefined);
      throw refusal === undefined ? error : refusal.error;
    } finally {
      this.#sending.delete(stream);
    }
  }

  /** Answers the owner's question whether an object is still wanted. */
  confirm(stream: number): void {
    const sending = this.#sending.get(stream);
    if (sending === undefined) return;
    let isWanted = true;
    try {
      sending.assertWanted();
    } catch {
      isWanted = false;
    }
    void this.#ask({ method: "confirm", stream, isWanted }).catch(() => undefined);
  }

  /** The owner of the folder has ended: what it had begun to store cannot be finished. */
  ownerGone(): void {
    for (const sending of this.#sending.values()) sending.isBroken = sending.hasBegun;
  }
}
