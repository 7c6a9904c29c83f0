import type { AtomicWords } from "../../../src/core/shared_table.ts";
import { Arena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";

/** One write into the control buffer, and the segment's bytes as they were then. */
interface RecordedWrite {
  readonly kind: "word" | "double";
  readonly index: number;
  readonly value: number;
  readonly segment: Uint8Array;
}

/**
 * Views over an arena of one private segment that note every write into its tables, so that a thread's death after any
 * of them can be replayed.
 */
export class WriteRecorder {
  readonly arena: Arena;
  readonly #memory: ArenaMemory;
  readonly #segment: Uint8Array;
  #control: Uint8Array = new Uint8Array(0);
  #lastSegment: Uint8Array = new Uint8Array(0);
  #writes: RecordedWrite[] = [];

  constructor(memory: ArenaMemory) {
    this.#memory = memory;
    this.#segment = new Uint8Array(memory.segments[0] ?? new ArrayBuffer(0));
    this.arena = new Arena(memory);
    Object.defineProperty(this.arena, "words", { value: this.#recorded(this.arena.words, "word") });
    Object.defineProperty(this.arena, "atomics", { value: this.#recordedAtomics(this.arena) });
    Object.defineProperty(this.arena, "doubles", { value: this.#recorded(this.arena.doubles, "double") });
  }

  /** Begins anew from the memory as it is. */
  restart(): void {
    this.#control = new Uint8Array(this.#memory.control).slice();
    this.#lastSegment = this.#segment.slice();
    this.#writes = [];
  }

  get writes(): number {
    return this.#writes.length;
  }

  /** A copy of the memory as it was after the first `writes` writes, with word `lock` set to `workerId`. */
  cutAfter(writes: number, { lock, workerId }: { readonly lock: number; readonly workerId: number }): ArenaMemory {
    const control = this.#control.slice();
    const words = new Int32Array(control.buffer);
    const doubles = new Float64Array(control.buffer);
    for (const { kind, index, value } of this.#writes.slice(0, writes)) {
      (kind === "word" ? words : doubles)[index] = value;
    }
    words[lock] = workerId;
    // What is in the segment between two writes is there before the second.
    const segment = this.#writes[writes]?.segment ?? this.#segment;
    return { options: this.#memory.options, control: control.buffer, segments: [segment.slice().buffer] };
  }

  /** A copy of the memory as it is. */
  copy(): ArenaMemory {
    const segments = [this.#segment.slice().buffer];
    return { options: this.#memory.options, control: new Uint8Array(this.#memory.control).slice().buffer, segments };
  }

  #recordedAtomics({ words, atomics }: Arena): Pick<AtomicWords, "load" | "store" | "replace"> {
    return {
      load: (index) => atomics.load(index),
      store(index, value) {
        words[index] = value;
      },
      replace(index, expected, value) {
        const isExpected = atomics.load(index) === expected;
        if (isExpected) words[index] = value;
        return isExpected;
      },
    };
  }

  #recorded<T extends Int32Array | Float64Array>(target: T, kind: "word" | "double"): T {
    const note = (index: number, value: number) => {
      if (Buffer.compare(this.#lastSegment, this.#segment) !== 0) this.#lastSegment = this.#segment.slice();
      this.#writes.push({ kind, index, value, segment: this.#lastSegment });
      target[index] = value;
    };
    const fill = (value: number, from: number, to: number) => {
      for (let i = from; i < to; i++) note(i, value);
    };
    return new Proxy(target, {
      get: (_, name) => name === "fill" ? fill : Reflect.get(target, name),
      set(_, name, value) {
        note(Number(name), Number(value));
        return true;
      },
    });
  }
}
