import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** A program that a suite starts beside the server; it ends with the suite. */
export class ToolProcess {
  /** The exit code, or the name of the signal that ended it. */
  readonly exit: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #output: string[] = [];

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const child = this.#child;
    const end = (): void => void child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    const keep = (chunk: Uint8Array) => void this.#output.push(chunk.toString());
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    this.exit = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
  }

  /** All that it has printed. */
  get output(): string {
    return this.#output.join("");
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Sends SIGTERM and waits for the end. */
  async stop(): Promise<number | string> {
    this.#child.kill("SIGTERM");
    return await this.exit;
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exit;
  }

  /** Freezes it: its sockets take connections, and nothing answers. */
  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  /** Lets a frozen one go on. */
  resume(): void {
    // Deno's kill of a child does nothing after its first signal.
    process.kill(this.pid, "SIGCONT");
  }
}
