import type { FollowedWrite } from "./tier_changes.ts";

/** How many are remembered; a write whose object was replaced is never asked for. */
const MOST = 1024;

/** The requests of writes that wait for their store and are followed. L1 does not know them. */
export class FollowedWrites {
  readonly #requests = new Map<number, string>();

  note({ version, requestId }: FollowedWrite): void {
    this.#requests.set(version, requestId);
    if (this.#requests.size <= MOST) return;
    const [oldest] = this.#requests.keys();
    if (oldest !== undefined) this.#requests.delete(oldest);
  }

  /** The request of a write, once. */
  take(version: number): string | undefined {
    if (this.#requests.size === 0) return undefined;
    const requestId = this.#requests.get(version);
    this.#requests.delete(version);
    return requestId;
  }
}
