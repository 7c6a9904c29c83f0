/** Knows which requests for a key overlapped in time. */
export class KeyActivity {
  readonly #keys = new Map<string, { active: number; begun: number }>();

  /** A request begins; call the result when it has ended: whether any other for its key ran meanwhile. */
  begin(key: string): () => boolean {
    const state = this.#keys.get(key) ?? { active: 0, begun: 0 };
    this.#keys.set(key, state);
    const wasActive = state.active > 0;
    state.active++;
    const number = ++state.begun;
    return () => {
      state.active--;
      return wasActive || state.begun !== number;
    };
  }
}
