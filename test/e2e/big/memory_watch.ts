import type { ServerProcess } from "../support/server_process.ts";

/** Looks at a process's data in memory twenty times a second and keeps the most it saw. */
export class MemoryWatch {
  readonly #server: ServerProcess;
  readonly #timer: ReturnType<typeof setInterval>;
  #mostBytes = 0;

  constructor(server: ServerProcess) {
    this.#server = server;
    this.#timer = setInterval(() => this.#look(), 50);
  }

  #look(): void {
    this.#mostBytes = Math.max(this.#mostBytes, this.#server.memory().dataBytes);
  }

  /** The most since this was asked last, in bytes. */
  take(): number {
    this.#look();
    const mostBytes = this.#mostBytes;
    this.#mostBytes = 0;
    return mostBytes;
  }

  /** Stops looking. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
