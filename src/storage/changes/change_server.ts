import { Batch } from "../../core/coalesce.ts";
import { VitrineError } from "../../core/errors.ts";
import { StreamWindow } from "../../core/hand_over.ts";
import { failureOf, type Port } from "../../core/threads.ts";
import type { StorageContext } from "../context.ts";
import type { PutResult } from "../storage.ts";
import type { ReleaseRoom, RoomRequest } from "./store_room.ts";
import type {
  ChangeRequest,
  ChunkRequest,
  FinishRequest,
  FromTierOwner,
  TierStream,
  ToTierOwner,
  TracedWrite,
} from "./tier_changes.ts";
import type { TierOwner } from "./tier_owner.ts";

/** Options of a ChangeServer. */
export interface ChangeServerOptions {
  readonly owner: TierOwner;
  readonly context: Pick<StorageContext, "clock">;
  /** Called when L1 has something to store. */
  readonly wake: (traced: TracedWrite | undefined) => void;
}

/** An upload of the worker, stored as it arrives. */
interface Stream {
  readonly stream: TierStream;
  readonly window: StreamWindow;
  /** Resolves when the previous chunks are stored. */
  tail: Promise<void>;
}

/**
 * The owner's side of the connection to one worker, until the port closes or `end` is called. Open streams are then
 * aborted. Earlier requests are still carried out, unless their memory goes with the worker.
 */
export class ChangeServer {
  readonly #options: ChangeServerOptions;
  readonly #port: Port<readonly FromTierOwner[], readonly ToTierOwner[]>;
  readonly #said = new Batch<FromTierOwner>((said) => this.#hasEnded || this.#port.post(said));
  readonly #streams = new Map<number, Stream>();
  /** Room given to writes that have not tried to use it yet. */
  readonly #rooms = new Map<number, ReleaseRoom>();
  #hasEnded = false;

  constructor(port: Port<readonly FromTierOwner[], readonly ToTierOwner[]>, options: ChangeServerOptions) {
    this.#port = port;
    this.#options = options;
    port.listen((said) => said.forEach((each) => this.#hear(each)), () => this.end());
  }

  end(): void {
    this.#hasEnded = true;
    this.#port.close();
    for (const id of this.#streams.keys()) this.#abort(id);
    for (const id of this.#rooms.keys()) this.#releaseRoom(id);
  }

  #hear(said: ToTierOwner): void {
    if (said.kind === "wake") this.#options.wake(said.traced);
    else if (said.kind === "aborted") this.#abort(said.stream);
    else if (said.kind === "tried") this.#releaseRoom(said.id);
    else void this.#answer(said.id, said.asked);
  }

  async #answer(id: number, asked: ChangeRequest): Promise<void> {
    try {
      this.#said.add({ kind: "answered", id, value: await this.#make(id, asked) });
    } catch (error) {
      this.#said.add({ kind: "failed", id, failure: failureOf(error) });
    }
  }

  #make(id: number, asked: ChangeRequest) {
    const { owner, context: { clock } } = this.#options;
    if (asked.kind === "put") return owner.put(asked.write);
    if (asked.kind === "chunk") return this.#store(asked);
    if (asked.kind === "finish") return this.#finish(asked);
    if (asked.kind === "room") return this.#waitForRoom(id, asked.request);
    if (asked.kind === "clear") return owner.clear(asked.tenant, asked.tier);
    if (asked.kind === "verify") return owner.verify(asked.key);
    return owner.delete(asked.key, asked.precondition, () => {
      if (clock.monotonicMs() >= asked.untilMs) throw new VitrineError("tier_failed", "delete object: too late");
    });
  }

  async #waitForRoom(id: number, request: RoomRequest): Promise<undefined> {
    const release = await this.#options.owner.room(request);
    this.#rooms.set(id, release);
    if (this.#hasEnded) this.#releaseRoom(id);
    return undefined;
  }

  #releaseRoom(id: number): void {
    this.#rooms.get(id)?.();
    this.#rooms.delete(id);
  }

  async #store({ stream: id, opens, start, end }: ChunkRequest): Promise<undefined> {
    if (opens !== undefined) this.#open(id, opens);
    const upload = this.#upload(id);
    const { stream, window } = upload;
    upload.tail = upload.tail.then(() => stream.write(window.bytes(start, end)));
    await upload.tail;
    return undefined;
  }

  #open(id: number, opens: NonNullable<ChunkRequest["opens"]>): void {
    const window = new StreamWindow(opens.window);
    // The request may have waited for this owner and been abandoned since.
    if (window.isAbandoned || this.#hasEnded) return;
    const stream = this.#options.owner.stream(opens.request, () => {
      if (window.isAbandoned || this.#hasEnded) {
        throw new VitrineError("client_gone", "store upload: nobody waits for it any more");
      }
    });
    this.#streams.set(id, { stream, window, tail: Promise.resolve() });
  }

  async #finish({ stream: id, write }: FinishRequest): Promise<PutResult> {
    const { stream, tail } = this.#upload(id);
    await tail;
    try {
      return await stream.finish(write);
    } finally {
      this.#abort(id);
    }
  }

  #upload(id: number): Stream {
    const upload = this.#streams.get(id);
    if (upload === undefined) throw new VitrineError("client_gone", "store upload: it was broken off");
    return upload;
  }

  /** Ends an upload. No effect on one that has finished. */
  #abort(id: number): void {
    this.#streams.get(id)?.stream.abort();
    this.#streams.delete(id);
  }
}
