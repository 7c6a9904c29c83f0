/** How pushes of one signal ended. */
export class ExportCounts {
  #ok = 0;
  #failed = 0;

  get ok(): number {
    return this.#ok;
  }

  get failed(): number {
    return this.#failed;
  }

  count(ok: boolean): void {
    if (ok) this.#ok++;
    else this.#failed++;
  }
}
