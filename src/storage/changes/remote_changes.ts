import type { Clock, Every } from "../../core/clock.ts";
import { Batch } from "../../core/coalesce.ts";
import { VitrineError } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import { type StreamWindow, StreamWindows, WindowWriter } from "../../core/hand_over.ts";
import type { ObjectKey, Precondition } from "../../core/object.ts";
import { errorOf, type Port } from "../../core/threads.ts";
import { type Watch, Watchdog } from "../../core/watchdog.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { L1 } from "../../l1/l1.ts";
import { ignoreFenced } from "../context.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";
import type { PutResult } from "../storage.ts";
import type { ReleaseRoom, RoomRequest } from "./store_room.ts";
import type {
  Answers,
  ChangeRequest,
  ChunkRequest,
  FinishRequest,
  FromTierOwner,
  StagedWrite,
  StreamRequest,
  TierChanges,
  TierStream,
  ToTierOwner,
  TracedWrite,
  VerifiedWrite,
} from "./tier_changes.ts";

/** Options of a RemoteChanges. */
export interface RemoteChangesOptions {
  readonly l1: L1;
  readonly shared: SharedKeys;
  readonly clock: Clock;
  readonly publish: Publish<EventMap>;
  /** Time to wait for an answer, in milliseconds; 0 = unlimited. */
  readonly timeoutMs: number;
  readonly every: Every;
}

interface Waiting {
  readonly asked: ChangeRequest;
  watch: Watch | undefined;
  isSent: boolean;
  readonly resolve: (value: Answers[ChangeRequest["kind"]]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A worker's view of the owner of the tiers in another thread. If the owner dies, requests that were sent fail, whether
 * they were carried out or not: the next owner could carry them out a second time, with another change in between.
 * Unsent requests, and those for room, wait for the next owner.
 */
export class RemoteChanges implements TierChanges {
  readonly #options: RemoteChangesOptions;
  readonly #watchdog: Watchdog;
  readonly #waiting = new Map<number, Waiting>();
  readonly #said = new Batch<ToTierOwner>((said) => this.#send(said));
  #port: Port<readonly ToTierOwner[], readonly FromTierOwner[]> | undefined;
  #unsent: ToTierOwner[] = [];
  readonly #windows = new StreamWindows();
  /** Streams that are open at the current owner. */
  readonly #streams = new Set<number>();
  #lastId = 0;
  /** Monotonic milliseconds at which a write here was last given room. */
  #roomMs = -Infinity;

  constructor(options: RemoteChangesOptions) {
    this.#options = options;
    this.#watchdog = new Watchdog(options);
  }

  /** Connects to a new owner. */
  connect(port: Port<readonly ToTierOwner[], readonly FromTierOwner[]>): void {
    this.disconnect();
    this.#port = port;
    port.listen((said) => this.#hear(said), () => {
      if (this.#port === port) this.disconnect();
    });
    const unsent = this.#unsent;
    this.#unsent = [];
    if (unsent.length > 0) this.#send(unsent);
    // The owner may have looked for dirty objects before this connection existed.
    this.#said.add({ kind: "wake", traced: undefined });
  }

  /** Called when the owner is gone. */
  disconnect(): void {
    this.#port?.close();
    this.#port = undefined;
    this.#streams.clear();
    for (const [id, waiting] of this.#waiting) {
      const { isSent, asked } = waiting;
      if (!isSent) continue;
      if (asked.kind === "room") {
        // Nothing has changed in the tiers, so the next owner can be asked.
        waiting.isSent = false;
        this.#unsent.push({ kind: "asked", id, asked });
        continue;
      }
      this.#showTiers(asked);
      this.#fail(id, ownerGone(asked));
    }
  }

  /** Only the tiers know whether the change was made, so L1 must not hide what they hold. */
  #showTiers(asked: ChangeRequest): void {
    if (asked.kind !== "put" && asked.kind !== "finish" && asked.kind !== "delete") return;
    const key = asked.kind === "delete" ? asked.key : asked.write.key;
    try {
      this.#options.l1.delete([key], "replaced", (known) => known?.isDirty === false);
    } catch (error) {
      ignoreFenced(error);
    }
  }

  put(write: StagedWrite): Promise<PutResult> {
    return this.#ask({ kind: "put", write }, write.key);
  }

  stream(request: StreamRequest): TierStream {
    const { key } = request;
    const id = this.#nextId();
    return new RemoteStream({
      id,
      request,
      windows: this.#windows,
      askChunk: (asked) => this.#ask(asked, key),
      askFinish: (asked) => this.#ask(asked, key),
      onAbort: () => {
        if (this.#streams.delete(id)) this.#said.add({ kind: "aborted", stream: id });
      },
    });
  }

  delete(key: ObjectKey, precondition: Precondition | undefined): Promise<boolean> {
    const { clock, timeoutMs } = this.#options;
    const untilMs = timeoutMs === 0 ? Infinity : clock.monotonicMs() + timeoutMs;
    return this.#ask({ kind: "delete", key, precondition, untilMs }, key);
  }

  clear(tenant: string | undefined, tier: string | undefined): Promise<Readonly<Record<string, number>>> {
    return this.#ask({ kind: "clear", tenant, tier });
  }

  async verify(key: ObjectKey): Promise<void> {
    await this.#ask({ kind: "verify", key }, key);
  }

  async room(request: RoomRequest): Promise<ReleaseRoom> {
    const id = this.#nextId();
    await this.#askAs(id, { kind: "room", request }, request.key);
    this.#roomMs = this.#options.clock.monotonicMs();
    return () => {
      if (this.#port !== undefined) this.#said.add({ kind: "tried", id });
    };
  }

  wake(traced?: TracedWrite): void {
    // A wake is sent only if none is pending, or if it carries a traced write.
    const isFirst = this.#options.shared.noteWake();
    if (this.#port !== undefined && (isFirst || traced !== undefined)) this.#said.add({ kind: "wake", traced });
  }

  async #ask<K extends ChangeRequest["kind"]>(
    asked: ChangeRequest & { readonly kind: K },
    key?: ObjectKey,
  ): Promise<Answers[K]> {
    const answer = await this.#askAs(this.#nextId(), asked, key);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the owner answers each change with what it gives
    return answer as Answers[K];
  }

  /** Without a key there is no time limit. */
  #askAs(id: number, asked: ChangeRequest, key: ObjectKey | undefined): Promise<Answers[ChangeRequest["kind"]]> {
    return new Promise((resolve, reject) => {
      const watch = key && this.#watch(id, asked.kind, key);
      this.#waiting.set(id, { asked, watch, isSent: false, resolve, reject });
      this.#said.add({ kind: "asked", id, asked });
    });
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #watch(id: number, kind: ChangeRequest["kind"], key: ObjectKey): Watch | undefined {
    const { clock, timeoutMs } = this.#options;
    if (timeoutMs === 0) return undefined;
    const watch = this.#watchdog.watch(() => {
      // A write keeps waiting while the queue moves.
      const goesOn = kind === "room" && clock.monotonicMs() - this.#roomMs < timeoutMs;
      const waiting = this.#waiting.get(id);
      if (!goesOn) this.#timeOut(id, kind, key);
      else if (waiting !== undefined) waiting.watch = this.#watch(id, kind, key);
    });
    watch.wait();
    return watch;
  }

  #send(said: readonly ToTierOwner[]): void {
    if (this.#port === undefined) {
      this.#unsent.push(...said.filter(({ kind }) => kind === "asked"));
      return;
    }
    const sendable = said.filter((each) => each.kind !== "asked" || this.#mark(each.id, each.asked));
    if (sendable.length > 0) this.#port.post(sendable);
  }

  /** Marks a request as sent. False if it cannot be sent, because its stream ended with another owner. */
  #mark(id: number, asked: ChangeRequest): boolean {
    if (asked.kind === "chunk" && asked.opens !== undefined) this.#streams.add(asked.stream);
    const isOver = (asked.kind === "chunk" || asked.kind === "finish") && !this.#streams.has(asked.stream);
    if (asked.kind === "finish") this.#streams.delete(asked.stream);
    const waiting = this.#waiting.get(id);
    if (isOver) this.#fail(id, ownerGone(asked));
    else if (waiting !== undefined) waiting.isSent = true;
    return !isOver;
  }

  #hear(said: readonly FromTierOwner[]): void {
    for (const each of said) {
      const waiting = this.#take(each.id);
      if (each.kind === "failed") waiting?.reject(errorOf(each.failure));
      else if (waiting !== undefined) waiting.resolve(each.value);
      // The request has timed out. Room that it was given, if any, goes to others.
      else this.#said.add({ kind: "tried", id: each.id });
    }
  }

  #timeOut(id: number, kind: ChangeRequest["kind"], { requestId }: ObjectKey): void {
    const { publish, timeoutMs } = this.#options;
    const exceptionType = kind === "delete" ? "l2_delete" : kind === "verify" ? "l2_lookup" : "l2_store";
    publish("timeout.raised", { exceptionType, ...(requestId === undefined ? {} : { requestId }) });
    this.#fail(id, new VitrineError("tier_failed", "wait for storage thread: no answer", { details: { timeoutMs } }));
  }

  #fail(id: number, error: unknown): void {
    this.#take(id)?.reject(error);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    waiting?.watch?.end();
    this.#waiting.delete(id);
    return waiting;
  }
}

function ownerGone({ kind }: ChangeRequest): VitrineError {
  return new VitrineError("tier_failed", `${kind} in tiers: the storage thread has ended`);
}

/** Options of a RemoteStream. */
interface RemoteStreamOptions {
  /** Unique within the worker. */
  readonly id: number;
  readonly request: StreamRequest;
  readonly windows: StreamWindows;
  /** Resolves when the storage thread has stored the chunk. */
  readonly askChunk: (asked: ChunkRequest) => Promise<unknown>;
  readonly askFinish: (asked: FinishRequest) => Promise<PutResult>;
  /** Tells the storage thread that the stream was aborted. */
  readonly onAbort: () => void;
}

/** A worker's side of an upload that the storage thread stores. The bytes pass through a window of shared memory. */
class RemoteStream implements TierStream {
  readonly #options: RemoteStreamOptions;
  readonly #window: StreamWindow;
  readonly #writer: WindowWriter;
  #isOpen = false;
  #hasEnded = false;

  constructor(options: RemoteStreamOptions) {
    this.#options = options;
    this.#window = options.windows.take();
    this.#writer = new WindowWriter(this.#window, (start, end) => this.#send(start, end));
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#writer.write(chunk);
  }

  async finish(write: VerifiedWrite): Promise<PutResult> {
    const { id, askFinish, windows } = this.#options;
    await this.#writer.finish();
    const result = await askFinish({ kind: "finish", stream: id, write });
    this.#hasEnded = true;
    windows.give(this.#window);
    return result;
  }

  abort(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#window.abandon();
    if (this.#isOpen) this.#options.onAbort();
  }

  #send(start: number, end: number): Promise<unknown> {
    if (this.#hasEnded) throw new VitrineError("client_gone", "store upload: it was broken off");
    const { id, request, askChunk } = this.#options;
    const opens = this.#isOpen ? undefined : { request, window: this.#window.buffer };
    this.#isOpen = true;
    return askChunk({ kind: "chunk", stream: id, opens, start, end });
  }
}
