import type { Segment } from "../../../src/events/memory/segment.ts";

type Kind = "words" | "doubles" | "bytes";

interface Write {
  readonly kind: Kind;
  readonly index: number;
  readonly values: readonly number[];
}

/**
 * Views over a producer's memory that note every write into it, so that the death of its thread after any of them can
 * be replayed. While it is in use, Atomics work on these views, too.
 */
export class WriteRecorder {
  readonly segment: Segment;
  readonly #memory: ArrayBuffer;
  readonly #atomics = { load: Atomics.load, store: Atomics.store, add: Atomics.add };
  readonly #targets = new Map<object, Int32Array>();
  #before = new Uint8Array(0);
  #writes: Write[] = [];

  constructor(memory: ArrayBuffer, segment: Segment) {
    this.#memory = memory;
    this.segment = {
      words: this.#recorded(segment.words, "words"),
      doubles: this.#recorded(segment.doubles, "doubles"),
      bytes: this.#recorded(segment.bytes, "bytes"),
      ringAt: segment.ringAt,
      ringBytes: segment.ringBytes,
      bookAt: (book) => segment.bookAt(book),
    };
    const { load, store, add } = this.#atomics;
    const targets = this.#targets;
    const note = (index: number, value: number) => this.#note({ kind: "words", index, values: [value] });
    Object.assign(Atomics, {
      load: (words: Int32Array, index: number) => load(targets.get(words) ?? words, index),
      store(words: Int32Array, index: number, value: number) {
        if (targets.has(words)) note(index, value);
        return store(targets.get(words) ?? words, index, value);
      },
      add(words: Int32Array, index: number, value: number) {
        const real = targets.get(words) ?? words;
        if (targets.has(words)) note(index, (load(real, index) + value) | 0);
        return add(real, index, value);
      },
    });
  }

  /** Atomics are as they were. */
  end(): void {
    Object.assign(Atomics, this.#atomics);
  }

  /** Begins anew from the memory as it is. */
  restart(): void {
    this.#before = new Uint8Array(this.#memory).slice();
    this.#writes = [];
  }

  get writes(): number {
    return this.#writes.length;
  }

  /** The memory as it was after each number of writes, from none to all. One copy, that changes. */
  *cuts(): Generator<ArrayBuffer, void, void> {
    const { buffer } = this.#before;
    const views = { words: new Int32Array(buffer), doubles: new Float64Array(buffer), bytes: new Uint8Array(buffer) };
    yield buffer;
    for (const { kind, index, values } of this.#writes) {
      for (const [offset, value] of values.entries()) views[kind][index + offset] = value;
      yield buffer;
    }
  }

  #note(write: Write): void {
    this.#writes.push(write);
  }

  #recorded<T extends Int32Array | Float64Array | Uint8Array>(target: T, kind: Kind): T {
    const note = (index: number, values: readonly number[]) => this.#note({ kind, index, values });
    const set = (source: Uint8Array, at: number) => {
      note(at, [...source]);
      target.set(source, at);
    };
    const proxy = new Proxy(target, {
      get: (_, name) => name === "set" ? set : Reflect.get(target, name),
      set(_, name, value) {
        note(Number(name), [Number(value)]);
        target[Number(name)] = Number(value);
        return true;
      },
    });
    if (target instanceof Int32Array) this.#targets.set(proxy, target);
    return proxy;
  }
}
