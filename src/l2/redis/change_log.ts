import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ForeignChange } from "../adapter.ts";
import { type Engine, listOf, textOf } from "./engine.ts";
import { type KeySpace, stateName } from "./layout.ts";
import { READ_LOG } from "./scripts.ts";

/** Milliseconds between two reads of the log of a shard, and the number of entries read at once. */
const READ_MS = 250;
const ENTRIES = 1000;

/** Options of a ChangeLog. */
export interface ChangeLogOptions {
  readonly tier: string;
  readonly engine: Pick<Engine, "run">;
  readonly keys: Pick<KeySpace, "bases">;
  /** The id with which this server notes its own changes. */
  readonly server: string;
  readonly publish: Publish<EventMap>;
  readonly onChange: (change: ForeignChange) => void;
}

/** The position up to which the log of a shard has been read: its last entry, and the number of that change. */
interface Position {
  readonly entry: string;
  readonly number: number;
}

/** An entry of the log. */
interface Entry extends Position {
  readonly server: string;
  readonly what: string;
}

/**
 * Follows the logs in which the scripts note each change of the shards. Every change has a number, so that a missed one
 * is noticed, whatever the engine has trimmed, evicted or lost. While the engine cannot be reached nothing is read; the
 * next read continues where the last one ended.
 */
export class ChangeLog {
  readonly #options: ChangeLogOptions;
  readonly #positions = new Map<string, Position>();

  constructor(options: ChangeLogOptions) {
    this.#options = options;
  }

  /** Follows the logs from their present end on, until the returned function is called. */
  follow(): () => void {
    const reading = new Set<string>();
    const readAll = (): void => {
      for (const base of this.#options.keys.bases) {
        if (reading.has(base)) continue;
        reading.add(base);
        void this.read(base).catch(() => {}).then(() => reading.delete(base));
      }
    };
    readAll();
    const timer = setInterval(readAll, READ_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Reads what is new in the log of a shard. Throws tier_failed. */
  async read(base: string): Promise<void> {
    for (let isFull = true; isFull;) {
      const position = this.#positions.get(base);
      const { engine } = this.#options;
      const args = [base, "", position?.entry ?? "", String(ENTRIES)];
      const [count, time, list] = listOf(await engine.run(READ_LOG, [stateName(base)], args));
      const entries = listOf(list).map(entryOf);
      isFull = position !== undefined && entries.length === ENTRIES;
      const end = { entry: entries.at(-1)?.entry ?? position?.entry ?? "0-0", number: entries.at(-1)?.number ?? 0 };
      const present = Number(textOf(count));
      this.#positions.set(base, isFull ? end : { ...end, number: present });
      if (position === undefined) continue;
      const isComplete = entries.every(({ number }, at) => number === position.number + 1 + at);
      const isEnd = isFull || present === position.number + entries.length;
      if (isComplete && isEnd) this.#publish(entries, Number(textOf(time)));
      else this.#changed({ kind: "any" }, 0);
    }
  }

  #publish(entries: readonly Entry[], nowMicros: number): void {
    for (const { entry, server, what } of entries) {
      if (server === this.#options.server) continue;
      const change = changeOf(what);
      const seconds = Math.max(0, nowMicros / 1e6 - Number(entry.split("-")[0]) / 1000);
      this.#changed(change, change.kind === "any" ? 0 : seconds);
    }
  }

  #changed(change: ForeignChange, seconds: number): void {
    const { publish, tier, onChange } = this.#options;
    publish("l2.changed_elsewhere", { tier, scope: change.kind, seconds });
    onChange(change);
  }
}

function entryOf(reply: unknown): Entry {
  const [entry, list] = listOf(reply);
  const fields = listOf(list).map(textOf);
  const field = (name: string): string => fields[fields.indexOf(name) + 1] ?? "";
  return { entry: textOf(entry), number: Number(field("n")), server: field("s"), what: field("w") };
}

function changeOf(what: string): ForeignChange {
  const rest = what.slice(1);
  if (what.startsWith("t")) return { kind: "tenant", tenant: rest };
  const end = rest.indexOf("\0");
  if (!what.startsWith("k") || end < 0) return { kind: "any" };
  return { kind: "key", key: { tenant: rest.slice(0, end), key: rest.slice(end + 1) } };
}
