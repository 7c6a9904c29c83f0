import { Batch } from "../../core/coalesce.ts";
import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import { errorOf, failureOf, type Port } from "../../core/threads.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta, Precondition } from "../../core/object.ts";
import type { Publish } from "../../core/events.ts";
import { type Watch, Watchdog } from "../../core/watchdog.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { L1 } from "../../l1/types.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";
import type { PutResult } from "../types.ts";
import type { Answers, Asked, FromOwner, ToOwner } from "./messages.ts";
import type { FinishStream, FollowedWrite, StagedWrite, StreamedWrite, TierChanges } from "./tier_changes.ts";

/** Options of a RemoteChanges. */
export interface RemoteChangesOptions {
  readonly l1: L1;
  readonly shared: SharedKeys;
  readonly clock: Clock;
  readonly publish: Publish<EventMap>;
  /** How long to wait for an answer, in milliseconds; 0: as long as it takes. */
  readonly timeoutMs: number;
  /** Calls back at an interval until the function it returns is called. */
  readonly every: (ms: number, callback: () => void) => () => void;
}

interface Waiting {
  readonly asked: Asked;
  readonly watch: Watch | undefined;
  readonly finish: FinishStream | undefined;
  isSent: boolean;
  readonly resolve: (value: Answers[Asked["kind"]]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The owner of the tiers as a worker reaches it, in another thread. What was sent when the owner dies has failed,
 * whether it has happened or not: to ask the next one again could make it happen twice, with another change in between.
 * What was not sent waits for the next owner.
 */
export class RemoteChanges implements TierChanges {
  readonly #options: RemoteChangesOptions;
  readonly #watchdog: Watchdog;
  readonly #waiting = new Map<number, Waiting>();
  readonly #said = new Batch<ToOwner>((said) => this.#send(said));
  #port: Port<readonly ToOwner[], readonly FromOwner[]> | undefined;
  #unsent: ToOwner[] = [];
  #lastId = 0;

  constructor(options: RemoteChangesOptions) {
    this.#options = options;
    this.#watchdog = new Watchdog(options);
  }

  /** The owner is reached here from now on. */
  connect(port: Port<readonly ToOwner[], readonly FromOwner[]>): void {
    this.disconnect();
    this.#port = port;
    port.listen((said) => this.#hear(said), () => {
      if (this.#port === port) this.disconnect();
    });
    const unsent = this.#unsent;
    this.#unsent = [];
    if (unsent.length > 0) this.#send(unsent);
    // It may have looked for what waits before this line was there.
    this.#said.add({ kind: "wake", followed: undefined });
  }

  /** The owner is gone. */
  disconnect(): void {
    this.#port?.close();
    this.#port = undefined;
    for (const [id, { isSent, asked }] of this.#waiting) {
      if (!isSent) continue;
      this.#showTiers(asked);
      this.#fail(id, new VitrineError("tier_failed", `${asked.kind} in tiers: the storage thread has ended`));
    }
  }

  /** Only the tiers know if the change has happened, so L1 must not hide what they hold. */
  #showTiers(asked: Asked): void {
    if (asked.kind === "clear") return;
    const key = asked.kind === "delete" ? asked.key : asked.write.key;
    try {
      this.#options.l1.delete([key], "replaced", (known) => known?.isUnsaved === false);
    } catch (error) {
      // It is this thread that was declared dead.
      if (!(error instanceof VitrineError && error.code === "shutting_down")) throw error;
    }
  }

  put(write: StagedWrite): Promise<PutResult> {
    return this.#ask({ kind: "put", write }, write.key);
  }

  stream(write: StreamedWrite, finish: FinishStream): Promise<PutResult> {
    return this.#ask({ kind: "stream", write }, write.key, finish);
  }

  delete(key: ObjectKey, precondition: Precondition | undefined): Promise<boolean> {
    const { clock, timeoutMs } = this.#options;
    const untilMs = timeoutMs === 0 ? Infinity : clock.monotonicMs() + timeoutMs;
    return this.#ask({ kind: "delete", key, precondition, untilMs }, key);
  }

  clear(tenant: string | undefined, tier: string | undefined): Promise<Readonly<Record<string, number>>> {
    return this.#ask({ kind: "clear", tenant, tier });
  }

  wake(followed?: FollowedWrite): void {
    // Of many in a row one is told.
    const isFirst = this.#options.shared.noteWake();
    if (this.#port !== undefined && (isFirst || followed !== undefined)) this.#said.add({ kind: "wake", followed });
  }

  /** Without a key it takes as long as it takes. */
  async #ask<K extends Asked["kind"]>(
    asked: Asked & { readonly kind: K },
    key?: ObjectKey,
    finish?: FinishStream,
  ): Promise<Answers[K]> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = await new Promise<Answers[Asked["kind"]]>((resolve, reject) => {
      const isLimited = key !== undefined && this.#options.timeoutMs > 0;
      const watch = isLimited ? this.#watchdog.watch(() => this.#giveUp(id, asked.kind, key)) : undefined;
      watch?.wait();
      this.#waiting.set(id, { asked, watch, finish, isSent: false, resolve, reject });
      this.#said.add({ kind: "asked", id, asked });
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the owner answers each change with what it gives
    return answer as Answers[K];
  }

  #send(said: readonly ToOwner[]): void {
    if (this.#port === undefined) {
      this.#unsent.push(...said.filter(({ kind }) => kind === "asked"));
      return;
    }
    for (const each of said) {
      const waiting = each.kind === "asked" ? this.#waiting.get(each.id) : undefined;
      if (waiting !== undefined) waiting.isSent = true;
    }
    this.#port.post(said);
  }

  #hear(said: readonly FromOwner[]): void {
    for (const each of said) {
      if (each.kind === "granted") void this.#finish(each.id, each.meta);
      else if (each.kind === "failed") this.#fail(each.id, errorOf(each.failure));
      else this.#take(each.id)?.resolve(each.value);
    }
  }

  /** It is the turn of a stream. */
  async #finish(id: number, meta: ObjectMeta): Promise<void> {
    const waiting = this.#waiting.get(id);
    if (waiting?.finish === undefined) {
      this.#said.add({ kind: "finished", id, tiers: undefined });
      return;
    }
    // Its tiers have time-outs of their own.
    waiting.watch?.rest();
    const assertGranted = (): void => {
      if (this.#waiting.has(id)) return;
      throw new VitrineError("tier_failed", "store upload: the storage thread that let it store has ended");
    };
    const results = await waiting.finish(meta, assertGranted);
    if (!this.#waiting.has(id)) return;
    const tiers = results.map(({ error, isInDoubt }) => ({ failure: error && failureOf(error), isInDoubt }));
    this.#said.add({ kind: "finished", id, tiers });
    waiting.watch?.wait();
  }

  #giveUp(id: number, kind: Asked["kind"], { requestId }: ObjectKey): void {
    const { publish, timeoutMs } = this.#options;
    const exceptionType = kind === "delete" ? "l2_delete" : "l2_store";
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
