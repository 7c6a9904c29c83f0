import type { Checks } from "../support/checks.ts";
import { type Address, Connection } from "../support/http/connection.ts";
import type { HttpResponse } from "../support/http/http_response.ts";
import type { Random } from "../support/random.ts";
import { type Pace, readPart, readWhole } from "./reads.ts";
import { Register } from "./register.ts";
import { Tally } from "./tally.ts";
import { breakDownload, breakUpload, put, remove } from "./writes.ts";

/** What a Hunter works with. */
export interface HunterOptions {
  readonly address: Address;
  readonly checks: Checks;
  readonly random: Random;
  readonly keys: number;
  /** Clients at a time; half as many stalled readers come on top. */
  readonly clients: number;
  readonly admissionLimitBytes: number;
}

type Operation = (register: Register, connection: Connection) => Promise<void>;

/** Clients that read, write and delete the same few keys at the same time, and compare everything they get. */
export class Hunter {
  readonly checks: Checks;
  readonly tally: Tally = new Tally();
  readonly admissionLimitBytes: number;
  readonly #options: HunterOptions;
  readonly #registers: readonly Register[];
  readonly #stalled = new Set<Promise<void>>();
  #running = true;

  constructor(options: HunterOptions) {
    this.#options = options;
    this.checks = options.checks;
    this.admissionLimitBytes = options.admissionLimitBytes;
    this.#registers = Array.from({ length: options.keys }, (_, key) => new Register(key));
  }

  /**
   * Throws if this is no answer to go by: a refusal, or what a dying worker's runtime says in its place (on Bun a bare
   * 204).
   */
  assertAnswered(method: string, { status }: HttpResponse): void {
    if (status >= 500 || (status === 204 && method !== "DELETE")) throw new Error(`${method}: status ${status}`);
  }

  /** Runs until `end` is settled and every client has finished. */
  async run(end: Promise<unknown>): Promise<void> {
    const stop = () => {
      this.#running = false;
      this.tally.finish();
    };
    end.then(stop, stop);
    await Promise.all([end, ...Array.from({ length: this.#options.clients }, () => this.#client())]);
    await Promise.all(this.#stalled);
  }

  /** Reads every key once more, when nothing else runs. */
  async readAll(): Promise<void> {
    const connection = await Connection.open(this.#options.address);
    for (const register of this.#registers) await readWhole(register, connection, { how: "quick", hunter: this });
    connection.close();
  }

  async #client(): Promise<void> {
    let connection: Connection | undefined;
    while (this.#running) {
      const { kind, operate } = this.#choose();
      const died = this.tally.watchDeaths();
      try {
        connection = connection?.isOpen === true ? connection : await Connection.open(this.#options.address);
        await operate(this.#register(), connection);
        this.tally.end(kind);
      } catch (error) {
        connection?.close();
        this.#broken(kind, died(), error);
      }
    }
    connection?.close();
  }

  #broken(kind: string, explained: boolean, error: unknown): void {
    if (explained) this.tally.brokenByDeath.add(kind);
    else this.checks.that(`${kind}: broken off though no worker dies`, false, () => String(error));
  }

  #choose(): { readonly kind: string; readonly operate: Operation } {
    const { random } = this.#options;
    const dice = random.below(100);
    const read = (how: Pace) => ({ kind: `${how} read`, operate: this.#read(how) });
    if (dice < 40) return read("quick");
    if (dice < 45) return read("slow");
    if (dice < 48) return { kind: "start of a stalled read", operate: () => this.#stall() };
    if (dice < 63) return { kind: "part", operate: this.#part() };
    if (dice < 88) {
      return {
        kind: "put",
        operate: (register, connection) => put(register, connection, { slow: false, hunter: this }),
      };
    }
    if (dice < 90) {
      return {
        kind: "slow put",
        operate: (register, connection) => put(register, connection, { slow: true, hunter: this }),
      };
    }
    if (dice < 96) return { kind: "delete", operate: (register, connection) => remove(register, connection, this) };
    if (dice < 98) {
      return {
        kind: "broken upload",
        operate: (register, connection) => breakUpload(register, connection, random.uint32()),
      };
    }
    return { kind: "broken download", operate: breakDownload };
  }

  #read(how: Pace): Operation {
    return (register, connection) => readWhole(register, connection, { how, hunter: this });
  }

  #part(): Operation {
    const { random } = this.#options;
    const at = random.logUniform(1, 8 * 1024 ** 2) - 1;
    const length = random.logUniform(1, 1024 ** 2);
    return (register, connection) => readPart(register, connection, { at, length, hunter: this });
  }

  /** Beside the clients, which do not wait for it. */
  async #stall(): Promise<void> {
    if (this.#stalled.size >= this.#options.clients / 2) return;
    const connection = await Connection.open(this.#options.address);
    const died = this.tally.watchDeaths();
    const stalled = readWhole(this.#register(), connection, { how: "stalled", hunter: this })
      .then(() => this.tally.end("stalled read"), (error: unknown) => this.#broken("stalled read", died(), error))
      .finally(() => {
        connection.close();
        this.#stalled.delete(stalled);
      });
    this.#stalled.add(stalled);
  }

  #register(): Register {
    const { random } = this.#options;
    const register = this.#registers[Math.floor(random.logUniform(1, this.#registers.length + 1)) - 1];
    if (register === undefined) throw new Error("choose a key: none");
    return register;
  }
}
