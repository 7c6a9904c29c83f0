import { setTimeout as wait } from "node:timers/promises";
import { causeText, VitrineError } from "../../core/errors.ts";
import { retryMs } from "../calls.ts";
import { type Connect, type Connection, within } from "./connection.ts";
import type { Script } from "./scripts.ts";

/** Milliseconds between two checks of an engine that answers. */
const CHECK_MS = 1000;
/** Milliseconds without any answer after which a connection is dropped and its running calls fail. */
const SILENCE_MS = 8000;
/** Errors of an engine that takes no writes, because another one is the master. */
const ELSEWHERE = /^(?:READONLY|MASTERDOWN|UNBLOCKED)\b/;

/** Options of an Engine. */
export interface EngineOptions {
  readonly tier: string;
  readonly connect: Connect;
  /** One name in each shard, to check that the shard is usable. */
  readonly names: readonly string[];
  /** Called after each check with the reason why the engine is unusable; undefined while it is usable. */
  readonly onTrouble: (trouble: string | undefined) => void;
}

/**
 * The engine as the adapter uses it: a connection that is reopened whenever it breaks or gets no answers, with growing,
 * randomised waits. While there is none, calls fail at once. Nothing is retried, because only the caller knows whether
 * that is safe.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #connection: Connection | undefined;
  #break: (cause: Error) => void = () => {};
  #trouble: string | undefined = "no connection yet";
  #answeredMs = 0;
  #tried: () => void = () => {};

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#running = this.#keepConnected();
  }

  /** Opens the engine; resolves after the first attempt to connect, successful or not, or after `patienceMs`. */
  static async open(options: EngineOptions, patienceMs: number): Promise<Engine> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const engine = new Engine(options);
    engine.#tried = resolve;
    const patience = wait(patienceMs, undefined, { ref: false });
    await Promise.race([promise, patience]);
    return engine;
  }

  /** The reason why the engine, or a shard, is unusable; undefined while it is usable. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Sends a command that uses a name. Throws tier_failed, or no_room if the engine has none. */
  async call(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    return await this.#ask((connection) => connection.call(name, args));
  }

  /**
   * Returns a function for each node with objects, which sends a command to it. Throws like `call`, and so do the
   * functions.
   */
  async nodes(): Promise<readonly ((args: readonly string[]) => Promise<unknown>)[]> {
    const nodes = await this.#ask((connection) => connection.nodes());
    return nodes.map((send) => (args) => this.#ask(() => send(args)));
  }

  async #ask<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = this.#connection;
    if (connection === undefined) throw this.#failure(new Error(this.#trouble ?? "no connection"));
    try {
      const reply = await work(connection);
      this.#answeredMs = performance.now();
      return reply;
    } catch (cause) {
      if (cause instanceof Error && ELSEWHERE.test(cause.message)) this.#break(cause);
      throw this.#failure(cause);
    }
  }

  /** Runs a script on the node of the first key. */
  async run(
    { sha1, text }: Script,
    keys: readonly [string, ...string[]],
    args: readonly (string | Buffer)[],
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.call(keys[0], ["EVALSHA", sha1, ...rest]);
    } catch (error) {
      if (!causeText(error).includes("NOSCRIPT")) throw error;
      return await this.call(keys[0], ["EVAL", text, ...rest]);
    }
  }

  /** Closes the connection; running calls fail. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#break(new Error("closed"));
    await this.#running;
  }

  async #keepConnected(): Promise<void> {
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      try {
        await this.#serve(() => (failures = 0));
      } catch (cause) {
        this.#connection = undefined;
        this.#say(causeText(cause));
        failures += 1;
      }
      this.#tried();
      await this.#pause(retryMs(failures));
    }
  }

  /** Connects and checks the connection until it breaks; throws the cause. */
  async #serve(onUsable: () => void): Promise<void> {
    const { promise: broken, reject } = Promise.withResolvers<never>();
    broken.catch(() => {});
    this.#break = reject;
    const connecting = this.#options.connect(reject);
    try {
      const connection = await Promise.race([connecting, broken]);
      this.#connection = connection;
      while (!this.#closing.signal.aborted) {
        const failure = await Promise.race([this.#check(connection), broken]);
        this.#say(failure);
        if (failure === undefined) onUsable();
        this.#tried();
        await Promise.race([this.#pause(CHECK_MS), broken]);
      }
    } finally {
      this.#connection = undefined;
      // The connection may still be opening.
      void connecting.then((late) => late.destroy(), () => {});
    }
  }

  /** Checks every shard; returns the error of one that fails, if any. Throws if no shard answers at all. */
  async #check(connection: Connection): Promise<string | undefined> {
    const askedMs = performance.now();
    const asking = this.#options.names.map(async (name) => {
      await connection.call(name, ["EXISTS", name]);
      this.#answeredMs = performance.now();
    });
    const answers = Promise.allSettled(asking);
    for (;;) {
      try {
        const failed = (await within(SILENCE_MS, answers)).filter((answer) => answer.status === "rejected");
        const [first] = failed;
        return first === undefined ? undefined : causeText(first.reason);
      } catch (cause) {
        // A connection that answers other calls is busy, not broken.
        if (this.#answeredMs < Math.max(askedMs, performance.now() - SILENCE_MS)) throw cause;
      }
    }
  }

  #say(trouble: string | undefined): void {
    if (this.#closing.signal.aborted) return;
    this.#trouble = trouble;
    this.#options.onTrouble(trouble);
  }

  async #pause(ms: number): Promise<void> {
    await wait(ms, undefined, { ref: false, signal: this.#closing.signal }).catch(() => {});
  }

  #failure(cause: unknown): VitrineError {
    const text = cause instanceof Error ? cause.message : String(cause);
    const code = text.startsWith("OOM ") || text.includes("-OOM ") ? "no_room" : "tier_failed";
    const { tier } = this.#options;
    return new VitrineError(code, `call engine: tier ${tier}: ${text}`, { cause, details: { tier } });
  }
}

/** Returns the members of a list. Throws tier_failed if the reply is not one. */
export function listOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected(reply);
}

/**
 * Returns the bytes of a reply in their own memory; undefined if there are none. Small replies are copied, because they
 * share a larger buffer with data that is still to be read. Throws tier_failed for any other reply.
 */
export function bytesOf(reply: unknown): Buffer | undefined {
  if (reply === null || reply === undefined) return undefined;
  if (!Buffer.isBuffer(reply)) throw unexpected(reply);
  if (reply.length === reply.buffer.byteLength) return reply;
  const own = Buffer.from(new ArrayBuffer(reply.length));
  own.set(reply);
  return own;
}

/** Returns a reply as text; "" if there is none. */
export function textOf(reply: unknown): string {
  if (reply === null || reply === undefined) return "";
  if (typeof reply === "string" || typeof reply === "number") return String(reply);
  if (Buffer.isBuffer(reply)) return reply.toString("utf8");
  throw unexpected(reply);
}

function unexpected(reply: unknown): VitrineError {
  return new VitrineError("tier_failed", `read engine reply: unexpected ${typeof reply}`);
}
