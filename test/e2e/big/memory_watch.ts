import type { ProcessMemory, ServerProcess } from "../support/server_process.ts";

/** Looks at a process's memory ten times a second and keeps the most it saw. */
export class MemoryWatch {
  readonly #server: ServerProcess;
  readonly #timer: ReturnType<typeof setInterval>;
  #mostDataBytes = 0;

  constructor(server: ServerProcess) {
    this.#server = server;
    this.#timer = setInterval(() => this.#look(), 100);
  }

  #look(): ProcessMemory {
    const memory = this.#server.memory();
    this.#mostDataBytes = Math.max(this.#mostDataBytes, memory.dataBytes);
    return memory;
  }

  /** Stops looking. `dataBytes` is the most that was seen. */
  stop(): ProcessMemory {
    clearInterval(this.#timer);
    const { peakBytes } = this.#look();
    return { dataBytes: this.#mostDataBytes, peakBytes };
  }
}
