import { Counts } from "../support/counts.ts";

/**
 * Counts operations as they end, lets others wait for that, and knows which broken connections a worker's death
 * explains.
 */
export class Tally {
  /** Ended operations by kind. */
  readonly ended = new Counts();
  /** Connections that broke while a worker died. */
  readonly brokenByDeath = new Counts();
  readBytes = 0;
  #operations = 0;
  #waiting: { readonly at: number; readonly resolve: () => void }[] = [];
  #deaths = 0;
  #dying = false;
  #finished = false;

  /** An operation has ended. */
  end(kind: string): void {
    this.ended.add(kind);
    this.#operations++;
    const due = this.#waiting.filter(({ at }) => at <= this.#operations);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter(({ at }) => at > this.#operations);
    for (const { resolve } of due) resolve();
  }

  /** Resolves when so many more operations have ended: how a slow client is slow. */
  operations(count: number): Promise<void> {
    if (this.#finished) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ at: this.#operations + count, resolve });
    return promise;
  }

  /** Lets everybody go on who waits for operations: no more will come. */
  finish(): void {
    this.#finished = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** A worker dies now; the result says that its place is filled again. */
  death(): () => void {
    this.#deaths++;
    this.#dying = true;
    return () => {
      this.#dying = false;
    };
  }

  /** Notes that an operation begins; the result tells whether a worker has died, or was dying, since. */
  watchDeaths(): () => boolean {
    const [deaths, dying] = [this.#deaths, this.#dying];
    return () => dying || this.#deaths > deaths;
  }
}
