import { VitrineError } from "../core/errors.ts";
import { faultOf } from "./file/disk.ts";

/** Counts an adapter's running calls, so that `close` can wait for them and reject further ones. */
export class Calls {
  readonly #tier: string;
  #running = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(tier: string) {
    this.#tier = tier;
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Runs one call; throws tier_failed after `close`. A failure that is not a VitrineError becomes tier_failed (no_room
   * if the disk is full) with its cause, unless `spare` returns true because the tier did not cause it.
   */
  async run<T>(
    action: string,
    work: () => T | Promise<T>,
    spare: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    if (this.#closed) throw new VitrineError("tier_failed", `${action}: tier ${this.#tier} is closed`);
    this.#running += 1;
    try {
      return await work();
    } catch (error) {
      if (error instanceof VitrineError || spare(error)) throw error;
      const full = faultOf(error) === "full";
      const why = error instanceof Error ? error.message : String(error);
      throw new VitrineError(full ? "no_room" : "tier_failed", `${action}: tier ${this.#tier}: ${why}`, {
        cause: error,
      });
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** Rejects further calls and waits for the running ones; returns false if it was closed before. */
  async close(): Promise<boolean> {
    if (this.#closed) return false;
    this.#closed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    return true;
  }
}
